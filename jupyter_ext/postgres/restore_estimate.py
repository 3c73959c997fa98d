"""What a restore would do, and roughly how long it would take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ..accounts.schemas import Account
from .backup_schemas import NewRestore, Restore, Sizes
from .beside import ROOM, Beside
from .catalog import Catalog
from .claims import Claims
from .cluster_restore import replaced_bytes
from .pgbackrest import PgBackRest
from .place import Place
from .restore_plan import Goal, Move

RATE = 100 << 20
"""Bytes a second: a guess of what a disk restores and proves, for the estimate alone."""

COARSE = 64 << 20
"""Bytes, in whole multiples of which users are told what a restore needs."""

START_SECONDS = 3.0
"""For the start and the proof of a restored cluster, for the estimate alone."""


class Estimate:
    """Looks at what is there now."""

    def __init__(self, catalog: Catalog, claims: Claims, beside: Beside) -> None:
        self._catalog = catalog
        self._claims = claims
        self._beside = beside

    async def expected(
        self,
        id: str,
        driver: PgBackRest,
        body: NewRestore,
        target: Goal,
        moves: Sequence[Move],
        kept: Path,
        *,
        whole: bool = False,
    ) -> Restore:
        """Return what a restore would do, as it is shown.

        Parameters
        ----------
        whole
            All files are restored beside, although only some databases are wanted.
        """
        sizes = await self._catalog.sizes()
        size, live = target.size, sum(sizes.values())
        if moves and not whole:
            # Only theirs are restored beside; then they are copied.
            known = sum(sizes.get(each.name, 0) for each in moves)
            size = min(size, known + live // 10 + (64 << 20)) if known else size
        keeping = sum(sizes.get(each.name, 0) for each in moves) if moves else live
        stays = {"cluster": str(kept)}
        if moves:
            stays = {each.name: each.kept for each in moves if each.name in sizes}
        if body.mode == "side":
            keeping, stays = 0, {}
        return Restore(
            backup=id,
            dry_run=body.dry_run,
            mode=body.mode,
            databases=[each.name for each in moves],
            cluster=not moves,
            target_time=target.moment,
            timeline=target.named_timeline,
            seconds=round(START_SECONDS + size * ROOM * (2 if moves else 1) / RATE, 1),
            bytes=Sizes(
                live=live,
                side=size,
                kept=keeping,
                free=await self._beside.free(driver.place),
            ),
            kept=stays,
        )

    async def with_earlier(self, caller: Account, origin: Place, shown: Restore) -> Restore:
        """Say, too, how much earlier restores have kept, as far as that is the caller's."""
        names = [
            each.name
            for each in (await self._claims.all()).values()
            if each.kept_until and (caller.is_admin or each.owner == caller.id)
        ]
        kept = sum((await self._catalog.sizes(names)).values()) if names else 0
        if caller.is_admin:
            kept += await replaced_bytes(origin.data.parent)
        sizes = shown.bytes.model_copy(update={"kept_earlier": kept})
        return shown.model_copy(update={"bytes": sizes})


def for_users(shown: Restore) -> Restore:
    """Return what somebody is told who is no administrator: not how much everybody else has."""
    sizes = shown.bytes
    side = math.ceil(sizes.side / COARSE) * COARSE
    return shown.model_copy(
        update={
            "seconds": float(math.ceil(shown.seconds)),
            "bytes": sizes.model_copy(update={"live": sizes.kept, "side": side}),
        }
    )
