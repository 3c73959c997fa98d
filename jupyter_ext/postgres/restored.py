"""Makes a cluster of another moment let in whom the store lets in now.

Since then databases were given away, users were deleted, and names were taken by others.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from .catalog import Catalog, Found
from .claims import Claims, Owned
from .place import SUPERUSER
from .roles import Roles
from .schemas import SYSTEM

CLOCKS = timedelta(seconds=1)
"""By which the clocks of files and of the store may differ."""

_log = logging.getLogger(__name__)


async def settle(catalog: Catalog, claims: Claims, roles: Roles) -> None:
    """See to it, before users are let in and before the store is told what else there is.

    Raises
    ------
    Unavailable
        The server or the store does not answer.
    """
    known, accounts = await claims.all(), await roles.users()
    owners = {each.owner for each in known.values() if each.owner is not None}
    await roles.renew(owners.union(*(each.users for each in known.values())))
    for found in await catalog.list():
        claim = known.get(found.name)
        if found.name in SYSTEM or claim is None or claim.making is not None:
            continue
        role = SUPERUSER if claim.owner is None else await roles.of(claim.owner)
        if role is None or (role != found.role and _is_another(claim, found)):
            _log.warning("%s is what had this name before", found.name)
            await claims.release([found.name])
            await claims.adopt(found.name, accounts.get(found.role), found.made)
            continue
        if role != found.role:
            await catalog.give(found.name, found.role, role)
        # Those who were let in since then, too, and who have a new role.
        for user in claim.users:
            if (guest := await roles.of(user)) is not None:
                await catalog.let_in(found.name, guest, role)


def _is_another(claim: Owned, found: Found) -> bool:
    """Whether the store speaks of a younger database of this name."""
    return found.made is not None and claim.created_at > found.made + CLOCKS
