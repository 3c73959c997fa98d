"""Rules of devices: hosts that are added, looked after, drained, and removed."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.schemas import Account
from ..containers.records import ContainerRecord
from ..errors import Conflict, InvalidRequest, NotFound, PlatformError
from ..store.database import Store
from ..store.types import utcnow
from .admission import Admitted, Candidate, Door, admit, check_alone
from .device_schemas import (
    DeclaredGpu,
    DeviceChange,
    DeviceList,
    DeviceRemoval,
    DeviceReply,
    DeviceState,
    NewDevice,
    RemovedDevice,
    check_trust,
)
from .inventory import Found
from .ledger import DeviceLedger
from .nodes import DOWN, DRAINED, LEFT, check_same, count_left, forget
from .records import LOCAL_DEVICE, DeviceRecord, GpuClaim, GpuRecord
from .refusals import or_cancel

SIGNAL = "devices"
MEGABYTE = 1 << 20
MILLI = 1000
ATTEMPTS = 5
"""To remove a device that others place containers on."""


class Reach(Door, Protocol):
    """Who reaches engines."""

    async def join(self, did: int) -> None:
        """Follow a device that was added, and wait for its engine's first answer."""

    async def sync(self) -> None:
        """Follow the devices of the store."""

    def problem(self, did: int) -> tuple[str, datetime | None] | None:
        """Return why a device can't be reached now, and since when."""

    def reached(self, did: int) -> datetime | None:
        """Return since when a device is reached from here; None where it never was."""

    async def find_gpus(self, did: int) -> Sequence[Found]:
        """Look which GPUs a device has."""

    async def making(self, did: int) -> Sequence[str]:
        """Return the operations that make containers on a device, or wait to."""

    async def forget(self, did: int) -> None:
        """Give back all that containers of a device have claimed; `Conflict` while one is made."""


class DeviceManager:
    """Devices. Everybody sees them; administrators add, change and remove them.

    Parameters
    ----------
    bind_address
        What ports are bound to on the machine's own engine.
    """

    def __init__(
        self, store: Store, ledger: DeviceLedger, reach: Reach, bind_address: Callable[[], str]
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._reach = reach
        self._bind_address = bind_address

    async def list(self, caller: Account) -> DeviceList:
        """All devices, the machine's own first."""
        async with self._store.read() as session:
            rows = list(await session.scalars(select(DeviceRecord).order_by(DeviceRecord.did)))
            shown = await self._shown(session, caller, rows)
        return DeviceList(devices=[*shown], total=len(shown))

    async def get(self, caller: Account, ref: str) -> DeviceReply:
        """A device by its number or name.

        Raises
        ------
        NotFound
            There is none.
        """
        async with self._store.read() as session:
            row = await _find(session, ref)
            shown = await self._shown(session, caller, [row])
            return shown[0]

    async def add(self, caller: Account, body: NewDevice) -> DeviceReply:
        """Add a host, whose engine must answer.

        Raises
        ------
        Conflict
            The name is taken, the engine is a device already, or the host's key is not the one
            that was named; where none was, the text shows it.
        InvalidRequest
            The certificates can't be used, or the host's address is not known or no host's.
        Unavailable
            The engine does not answer.
        """
        candidate = Candidate(body.name, body.address, body.host_key, body.certificates)
        admitted = await admit(self._reach, candidate, body.bind_address)
        async with self._store.write() as session:
            await check_alone(session, admitted, body.name)
            row = DeviceRecord(
                name=body.name,
                bind_address=admitted.bind_address,
                cpu_millis=admitted.info.cpus * MILLI,
                memory_bytes=admitted.info.memory,
                reached_at=utcnow(),
                created_at=utcnow(),
            )
            admitted.write(row)
            # The constraints decide: somebody else may add the same one at this moment.
            try:
                async with session.begin_nested():
                    session.add(row)
                    await session.flush()
            except IntegrityError:
                await check_alone(session, admitted, body.name)
                raise _name_taken(body.name) from None
            did = row.did
            await self._store.signals.raise_(session, SIGNAL)
        try:
            await self._reach.join(did)
            await self._set_gpus(did, body.gpus)
        except BaseException:
            # Without its GPUs it is half of what was asked for.
            await asyncio.shield(self._withdraw(did))
            raise
        return await self.get(caller, str(did))

    async def set(self, caller: Account, ref: str, body: DeviceChange) -> DeviceReply:
        """Change a device; draining it lets what runs there go on.

        Raises
        ------
        NotFound
            There is none.
        Conflict
            The name is taken, or what `add` says of the new address.
        InvalidRequest
            This machine's GPUs, ports and engine are not named here, or as `add`.
        Unavailable
            The engine does not answer at its new address.
        """
        admitted = await self._moved(ref, body)
        async with self._store.write() as session:
            row = await _find(session, ref, lock=True)
            did = row.did
            if did == LOCAL_DEVICE:
                _check_local(body)
            if admitted is not None:
                await check_alone(session, admitted, row.name, did)
                admitted.write(row)
                row.bind_address = row.bind_address or admitted.bind_address
            if body.name is not None:
                row.name = body.name
            if body.bind_address is not None:
                row.bind_address = body.bind_address
            if body.draining is not None and body.draining != (row.draining_since is not None):
                row.draining_since = utcnow() if body.draining else None
            try:
                await session.flush()
            except IntegrityError:
                raise _name_taken(body.name or "") from None
            await self._store.signals.raise_(session, SIGNAL)
            await self._ledger.tell(session)
        await self._reach.sync()
        if body.gpus is not None:
            await self._set_gpus(did, body.gpus)
        return await self.get(caller, str(did))

    async def find_gpus(self, caller: Account, ref: str) -> DeviceReply:
        """Look again which GPUs a device has.

        Raises
        ------
        NotFound
            There is no such device.
        InvalidRequest
            It is this machine, whose driver is asked all the time.
        Unavailable
            Its engine does not answer.
        """
        async with self._store.read() as session:
            did = (await _find(session, ref)).did
        if did == LOCAL_DEVICE:
            raise InvalidRequest(fields={"device": "is this machine, which is watched already"})
        await self._set_gpus(did, None)
        return await self.get(caller, str(did))

    async def remove(self, caller: Account, ref: str, query: DeviceRemoval) -> RemovedDevice:
        """Remove a device; what runs there runs on, and is nobody's here any more.

        Raises
        ------
        NotFound
            There is none.
        Conflict
            Containers are left on it or are being made there, or it is this machine, or a node of
            the swarm, which would come back.
        """
        async with self._store.read() as session:
            row = await _find(session, ref)
            did, name = row.did, row.name
        if did == LOCAL_DEVICE:
            raise Conflict("device", name, "This machine's own engine can't be removed.")
        if row.node is not None and row.node_state != LEFT and not query.force:
            raise Conflict(
                "device",
                name,
                f"{name} is a node of the swarm, and would come back. Drain it, or take it out of "
                f"the swarm first: `docker node rm {row.node}`.",
            )
        for _ in range(ATTEMPTS if query.force else 1):
            if query.force:
                await self._reach.forget(did)
            # Containers may come until it is gone.
            left = await self._delete(did)
            if not left:
                await self._reach.sync()
                return RemovedDevice(did=did, name=name)
        making = await self._reach.making(did)
        raise Conflict(
            "device",
            name,
            f"{left} container{' is' if left == 1 else 's are'} left on {name}. Delete what is "
            f"there first{or_cancel(making)} (drain it, so that nothing new comes), or remove it "
            "with force: it is forgotten here, and runs on.",
            details={"operations": making},
        )

    # -- inside ----------------------------------------------------------------------------------

    async def _delete(self, did: int) -> int:
        """Delete a device that has no containers; otherwise return how many it has.

        Who places one there keeps the device until it is written down (`DeviceLedger.need`).
        """
        async with self._store.write() as session:
            left = await count_left(session, did)
            if not left:
                await forget(session, did)
                await self._store.signals.raise_(session, SIGNAL)
                await self._ledger.tell(session)
        return left

    async def _withdraw(self, did: int) -> None:
        """Take back a device that was only just added."""
        with suppress(PlatformError):
            await self._reach.forget(did)
            await self._delete(did)
            await self._reach.sync()

    async def _moved(self, ref: str, body: DeviceChange) -> Admitted | None:
        """Look at a device's engine where it is said to be now; None where nobody says so."""
        if body.address is None and body.host_key is None and body.certificates is None:
            return None
        async with self._store.read() as session:
            row = await _find(session, ref)
        if row.did == LOCAL_DEVICE:
            _check_local(body)
        address = body.address or row.address
        if not address:
            raise InvalidRequest(fields={"address": "is needed: the device has none yet"})
        try:
            check_trust(address, body.host_key, body.certificates)
        except ValueError as error:
            raise InvalidRequest(fields={"address": str(error)}) from None
        candidate = Candidate(row.name, address, body.host_key, body.certificates)
        admitted = await admit(self._reach, candidate, body.bind_address)
        check_same(row, admitted)
        return admitted

    async def _set_gpus(self, did: int, declared: Sequence[DeclaredGpu] | None) -> None:
        if declared is None:
            found = await self._reach.find_gpus(did)
        else:
            found = [Found(gpu.uuid, gpu.model, gpu.memory * MEGABYTE) for gpu in declared]
        async with self._store.write() as session:
            await self._ledger.need(session, did)
            await self._ledger.set_gpus(session, did, found)

    async def _shown(
        self, session: AsyncSession, caller: Account, rows: Sequence[DeviceRecord]
    ) -> Sequence[DeviceReply]:
        gpus: defaultdict[int, list[int]] = defaultdict(list)
        present = select(GpuRecord.device, GpuRecord.gid).where(GpuRecord.present)
        for did, gid in await session.execute(present.order_by(GpuRecord.gid)):
            gpus[did].append(gid)
        taken = set(await session.scalars(select(GpuClaim.gid)))
        taken |= set(await session.scalars(select(GpuRecord.gid).where(GpuRecord.foreign)))
        count = select(ContainerRecord.device, func.count()).group_by(ContainerRecord.device)
        containers = Counter({did: number for did, number in await session.execute(count)})
        return [
            self._reply(
                caller,
                row,
                gpus[row.did],
                [gid for gid in gpus[row.did] if gid in taken],
                containers[row.did],
            )
            for row in rows
        ]

    def _reply(
        self,
        caller: Account,
        row: DeviceRecord,
        gpus: Sequence[int],
        taken: Sequence[int],
        containers: int,
    ) -> DeviceReply:
        problem = self._reach.problem(row.did)
        state, since = _state(row, problem)
        if state == "ready" and since is None:
            # Nobody writes it down of the machine's own engine.
            since = self._reach.reached(row.did)
        return DeviceReply(
            did=row.did,
            name=row.name,
            state=state,
            since=since.isoformat() if since else None,
            problem=problem[0] if problem and caller.is_admin else None,
            address=row.address if caller.is_admin else None,
            node=row.node if caller.is_admin else None,
            bind_address=row.bind_address or self._bind_address(),
            cpu_name=row.cpu_name,
            total_cpu=row.cpu_millis / MILLI,
            used_cpu=row.used_cpu_millis / MILLI,
            total_memory=row.memory_bytes,
            used_memory=row.used_memory_bytes,
            gpus=[*gpus],
            used_gpus=[*taken],
            containers=containers,
        )


async def _find(session: AsyncSession, ref: str, *, lock: bool = False) -> DeviceRecord:
    number = ref.isascii() and ref.isdecimal() and len(ref) < 10
    mine = DeviceRecord.did == int(ref) if number else DeviceRecord.name == ref
    wanted = select(DeviceRecord).where(mine)
    row = await session.scalar(wanted.with_for_update() if lock else wanted)
    if row is None:
        raise NotFound("device", ref)
    return row


def _state(
    row: DeviceRecord, problem: tuple[str, datetime | None] | None
) -> tuple[DeviceState, datetime | None]:
    """Return how a device is, and since when; of several things the one that matters most."""
    if row.did != LOCAL_DEVICE and not row.address:
        return "no-address", row.created_at
    if problem is not None or row.lost_since is not None:
        return "lost", row.lost_since or (problem[1] if problem else None)
    if row.node_state == LEFT:
        return "left", row.node_since
    if row.node_state in DOWN:
        return "down", row.node_since
    if row.draining_since is not None:
        return "draining", row.draining_since
    if row.node_state in DRAINED:
        return "draining", row.node_since
    return "ready", row.reached_at


def _check_local(body: DeviceChange) -> None:
    """Refuse what is not said of this machine here."""
    elsewhere = {
        "gpus": "are found by the driver on this machine",
        "bind_address": "is ContainerDefaults.bind_address on this machine",
        "address": "is DockerDriver.address on this machine",
        "host_key": "is not used on this machine",
        "certificates": "are not used on this machine",
    }
    wrong = {name: why for name, why in elsewhere.items() if getattr(body, name) is not None}
    if wrong:
        raise InvalidRequest(fields=wrong)


def _name_taken(name: str) -> Conflict:
    return Conflict(
        "device", name, f"There is a device {name!r} already.", fields={"name": "is taken"}
    )
