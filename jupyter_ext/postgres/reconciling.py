"""Makes the store say of databases what PostgreSQL says: after a restore, or changes by hand."""

from __future__ import annotations

import logging

from .catalog import Catalog
from .claims import Claims
from .roles import Roles
from .schemas import SYSTEM

_log = logging.getLogger(__name__)


async def reconcile(catalog: Catalog, claims: Claims, roles: Roles) -> None:
    """Adopt databases that the store does not know, and forget those that are gone.

    What is being made at this moment is left alone.

    Raises
    ------
    Unavailable
        The server or the store does not answer.
    """
    # The claims first: what is made after this look is in neither, or in both.
    known = await claims.all()
    found = {each.name: each for each in await catalog.list() if each.name not in SYSTEM}
    gone = [each.name for each in known.values() if each.making is None and each.name not in found]
    if gone:
        _log.warning("Databases that are gone: %s", ", ".join(gone))
        await claims.release(gone)
    accounts = await roles.users()
    for each in found.values():
        if each.name not in known and not each.closed:
            _log.info("The database %s, which was not made here, is adopted", each.name)
            await claims.adopt(each.name, accounts.get(each.role), each.made)
    await roles.clear()
