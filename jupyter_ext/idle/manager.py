"""What people do about containers that are idle."""

from __future__ import annotations

from datetime import timedelta

from ..accounts.schemas import Account
from ..containers.service import ContainerService
from ..containers.views import Container
from ..errors import Conflict, InvalidRequest
from .rules import Rules
from .schemas import Keep
from .watch import IdleWatch

KEPT = timedelta(hours=1)
"""Where nobody says how long, and no rule does."""


class IdleManager:
    """Keeps containers running that would be stopped as idle."""

    def __init__(self, watch: IdleWatch, containers: ContainerService) -> None:
        self._watch = watch
        self._containers = containers

    async def keep(self, caller: Account, ref: str, body: Keep) -> Container:
        """Postpone the stop of a container that is idle, from now on; never to an earlier moment.

        What it may run at all stays as it is.

        Raises
        ------
        NotFound
            No container of the caller's goes by `ref`.
        InvalidRequest
            It is longer than the caller's rules allow.
        Conflict
            It does not run, or is being stopped at this moment.
        Unavailable
            The engine does not answer.
        """
        found = await self._containers.access.fresh(caller, ref)
        if not found.engine.running:
            raise Conflict(
                "container",
                found.name,
                f"{found.name} does not run. Start it: its idle time begins anew.",
            )
        known = self._containers.registry.by_engine[found.id]
        rules = await self._watch.rules_of({caller.id, known.owner})
        lasting = _lasting(body, rules.get(caller.id, Rules()), rules.get(known.owner, Rules()))
        if not await self._watch.keep(known, found.engine, lasting):
            raise Conflict(
                "container",
                found.name,
                f"{found.name} is being stopped at this moment. Start it when it has stopped.",
            )
        return self._containers.directory.view(found.id)


def _lasting(body: Keep, caller: Rules, owner: Rules) -> timedelta:
    """Return how long it is kept, as far as the caller's rules allow."""
    if body.minutes is None:
        wanted = owner.idle or KEPT
        return wanted if caller.keep is None else min(wanted, caller.keep)
    wanted = timedelta(minutes=body.minutes)
    if caller.keep is not None and wanted > caller.keep:
        most = caller.keep / timedelta(minutes=1)
        raise InvalidRequest(fields={"minutes": f"must be {most:g} or less"})
    return wanted
