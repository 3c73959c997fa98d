"""Makes the store say of databases what PostgreSQL says: after a restore, or changes by hand."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable

from .catalog import Catalog
from .claims import Claims, Owned
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
    await _forget(claims, [each for each in known.values() if each.making is None], found)
    accounts = await roles.users()
    for each in found.values():
        if each.name not in known and not each.closed:
            _log.info("The database %s, which was not made here, is adopted", each.name)
            await claims.adopt(each.name, accounts.get(each.role), each.made)
    await roles.clear()


async def forget_gone(catalog: Catalog, claims: Claims) -> None:
    """Forget databases that were dropped past this product, while others are made and restored.

    Nothing is done while anything is in the making: a restore takes a name away for a moment.
    """
    there: set[str] = set()
    # Twice, since what began after a look may have taken the name before the server was asked.
    for _ in range(2):
        known = await claims.all()
        if any(each.making is not None for each in known.values()):
            return
        there |= {each.name for each in await catalog.list()}
        if there >= known.keys():
            return
    await _forget(claims, known.values(), there)


async def _forget(claims: Claims, known: Iterable[Owned], there: Container[str]) -> None:
    gone = [each for each in known if each.name not in there]
    if gone:
        _log.warning("Databases that are gone: %s", ", ".join(each.name for each in gone))
        await claims.forget(gone)
