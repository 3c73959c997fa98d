"""What becomes of claims: containers, another server's, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, select, update

from ..devices.ledger import DeviceLedger
from ..errors import Conflict
from ..store.leases import ServerLease
from .claims import Claims
from .known import Known
from .records import ContainerRecord

if TYPE_CHECKING:
    from .registry import Registry


class Handover:
    """Hands claims on; each belongs to the server that wrote it down last, and to no other."""

    def __init__(
        self, registry: Registry, lease: ServerLease, claims: Claims, devices: DeviceLedger
    ) -> None:
        self._registry = registry
        self._lease = lease
        self._claims = claims
        self._devices = devices

    async def bind(self, known: Known, engine_id: str) -> Known:
        """Write down which container of the engine a claim became, and with which GPUs.

        Raises
        ------
        Conflict
            This server was taken for dead meanwhile, and the claim given back or taken over.
        """
        record = ContainerRecord
        async with self._registry.changing() as session:
            gpus = await self._devices.held(session, known.cid)
            found = await session.execute(
                update(record)
                .where(record.cid == known.cid, _unmade(known))
                .values(engine_id=engine_id, server=None, gpus=list(gpus) or None)
                .returning(record.cid)
            )
            if found.first() is None:
                raise Conflict("container", known.name, "The claim on the name was lost.")
            await self._devices.settle(session, [known.cid])
        known = replace(known, engine_id=engine_id, server=None, gpus=gpus)
        self._registry.put(known)
        self._registry.holdings.settled([known.cid])
        return known

    async def take_over(self, known: Known) -> Known:
        """Go on with a claim of a server that died, which can do nothing with it any more.

        Returns
        -------
        Known
            With the engine's id where the other one, which was only slow, has made it by now.

        Raises
        ------
        Conflict
            It was given back.
        """
        record = ContainerRecord
        async with self._registry.changing() as session:
            await self._lease.guard(session)
            found = await session.execute(
                update(record)
                .where(record.cid == known.cid, record.engine_id.is_(None))
                .values(server=self._lease.id)
                .returning(record.device)
            )
            device = found.scalar()
        if device is not None:
            known = replace(known, server=self._lease.id, device=device)
            self._registry.put(known)
            return known
        self._registry.making.discard(known.cid)
        await self._registry.load()
        made = self._registry.by_cid.get(known.cid)
        if made is None or made.engine_id is None:
            raise Conflict("container", known.name, "The container was deleted meanwhile.")
        return made

    async def give_up(self, known: Known, made: str | None = None) -> None:
        """Give a claim back that came to nothing, unless another server has taken it over.

        Parameters
        ----------
        made
            The engine's id of what it became for a moment.
        """
        record = ContainerRecord
        mine = _unmade(known) if made is None else _unmade(known) | (record.engine_id == made)
        async with self._registry.changing() as session:
            row = select(record.cid).where(record.cid == known.cid, mine)
            found = await session.scalar(row.with_for_update(key_share=True))
            if found is not None:
                await self._claims.release(session, [known.cid])
        if found is None:
            self._registry.making.discard(known.cid)
        else:
            self._registry.forget([known.cid])

    async def refitted(self, known: Known, engine_id: str, gids: tuple[int, ...]) -> Known:
        """Write down that a container was made again, as another one of the engine's.

        Raises
        ------
        Conflict
            It was deleted, or taken over, meanwhile.
        """
        record = ContainerRecord
        async with self._registry.changing() as session:
            await self._lease.guard(session)
            found = await session.execute(
                update(record)
                .where(record.cid == known.cid, record.engine_id == known.engine_id)
                .values(engine_id=engine_id, gpus=list(gids) or None)
                .returning(record.cid)
            )
            if found.first() is None:
                raise Conflict("container", known.name, f"{known.name} was deleted meanwhile.")
        self._registry.by_engine.pop(known.engine_id or "", None)
        known = replace(known, engine_id=engine_id, gpus=gids)
        self._registry.put(known)
        return known

    async def unfitted(self, made: str, before: Known) -> None:
        """Write down that a container is what it was before `refitted`."""
        record = ContainerRecord
        async with self._registry.changing() as session:
            await session.execute(
                update(record)
                .where(record.cid == before.cid, record.engine_id == made)
                .values(engine_id=before.engine_id, gpus=list(before.gpus) or None)
            )
        self._registry.by_engine.pop(made, None)
        self._registry.put(before)


def _unmade(known: Known) -> ColumnElement[bool]:
    """Whether a claim is still that of the server that `known` names."""
    return ContainerRecord.engine_id.is_(None) & (ContainerRecord.server == known.server)
