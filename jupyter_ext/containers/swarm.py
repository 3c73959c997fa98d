"""Follows the swarm that the machine's own engine manages: its nodes, and what its tasks hold."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ..devices import nodes as records
from ..devices.admission import Candidate, admit, check_alone
from ..devices.device_schemas import check_address
from ..devices.ledger import DeviceLedger
from ..devices.records import LOCAL_DEVICE, DeviceRecord
from ..errors import PlatformError
from ..watcher import Watcher
from .defaults import ContainerDefaults
from .engine_types import EngineEvent
from .engines import Engines
from .hosts import SIGNAL, Hosts
from .swarm_types import SwarmNode

if TYPE_CHECKING:
    from ..store import Store

LABEL = "jupyter_ext.engine"
"""Of a node: where its engine is reached."""

LOOK_SECONDS = 5.0
"""Between two looks at a swarm, which tells nobody what its tasks do; nodes are told at once."""

ALONE_SECONDS = 60.0
"""Between two looks whether the engine is in a swarm by now."""

GATHER_SECONDS = 0.2
"""What a node tells comes in several events."""

_log = logging.getLogger(__name__)


class Swarm:
    """Brings the nodes of a swarm as devices."""

    def __init__(
        self,
        store: Store,
        ledger: DeviceLedger,
        engines: Engines,
        hosts: Hosts,
        defaults: ContainerDefaults,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._engines = engines
        self._hosts = hosts
        self._defaults = defaults
        self._wanted = asyncio.Event()
        self._manages = False
        self._asked: set[tuple[str, frozenset[str]]] = set()
        self._counted: set[str] = set()
        self._refused: dict[int, str] = {}
        self._view: tuple[Mapping[int, Mapping[str, str]], Mapping[str, set[str]]] | None = None
        self._viewed = 0.0
        self._watcher = Watcher(self.look, self._pause, _log, "The swarm could not be read")

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow."""
        mirror = self._engines.local.mirror
        mirror.on_event.append(self._heard)
        mirror.on_engine.append(lambda problem: self._wanted.set())
        self._wanted.set()
        self._watcher.start()

    async def stop(self) -> None:
        """Follow no more."""
        await self._watcher.stop()

    def _heard(self, event: EngineEvent) -> None:
        if event.kind == "node":
            self._wanted.set()

    async def _pause(self) -> None:
        """Wait until something happened, or for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS if self._manages else ALONE_SECONDS):
                await self._wanted.wait()
            await asyncio.sleep(GATHER_SECONDS)
        self._wanted.clear()

    # -- a look ----------------------------------------------------------------------------------

    async def look(self) -> None:
        """Look once, and have the store say what the swarm says.

        Raises
        ------
        Unavailable
            The engine or the store does not answer.
        """
        local = self._engines.local
        if not local.mirror.fresh:
            return
        found = await local.driver.membership()
        self._manages = found.manager
        if not found.manager and found.state != "inactive":
            # Others manage it, or it is on the way in or out: nobody here knows of its nodes.
            return
        nodes = await local.driver.nodes() if found.manager else []
        await self._follow(found.node if found.manager else "", nodes)
        if found.manager:
            await self._rejoin(nodes)
            await self._admit(nodes)
            await self._gpus(nodes)

    async def _follow(self, own: str, nodes: Sequence[SwarmNode]) -> None:
        async with self._store.read() as session:
            rows = list(await session.scalars(select(DeviceRecord)))
        said = {node.id: records.state_of(node) for node in nodes}
        if said == {row.node: row.node_state for row in rows if row.node} and own == (
            next((row.node for row in rows if row.did == LOCAL_DEVICE), None) or ""
        ):
            return
        try:
            async with self._store.write() as session:
                if await records.follow(session, own, nodes):
                    await self._store.signals.raise_(session, SIGNAL)
                    await self._ledger.tell(session)
        except IntegrityError:
            # Another server of the store was faster; the next look sees what it wrote.
            self._wanted.set()
            return
        await self._hosts.sync()

    async def _rejoin(self, nodes: Sequence[SwarmNode]) -> None:
        """Find nodes among the devices that are there already: added by hand, or back again."""
        async with self._store.read() as session:
            rows = list(await session.scalars(select(DeviceRecord)))
        empty = {row.node for row in rows if row.node and not row.address} - {
            row.node for row in rows if row.did == LOCAL_DEVICE
        }
        if not empty:
            return
        known = {node.id for node in nodes}
        for row in rows:
            nodeless = row.node is None or row.node_state == records.LEFT
            if not (nodeless and row.address and row.did != LOCAL_DEVICE):
                continue
            question = f"{row.did} {row.address}", frozenset(known)
            if question in self._asked:
                continue
            try:
                node = (await self._engines.on(row.did).driver.info()).node
            except PlatformError as error:
                _log.debug("Device %s does not say which node it is: %s", row.did, error)
                continue
            if node not in empty:
                # Who is joining just now has no id yet, and is asked again.
                self._asked |= {question} if node else set()
            else:
                async with self._store.write() as session:
                    joined = await records.rejoin(session, row.did, node)
                    await self._store.signals.raise_(session, SIGNAL)
                if joined:
                    _log.info("Device %s (%s) is a node of the swarm", row.did, row.name)
                    self._wanted.set()
                    await self._hosts.sync()

    # -- their engines ---------------------------------------------------------------------------

    async def _admit(self, nodes: Sequence[SwarmNode]) -> None:
        """Reach the engines whose addresses the nodes' labels tell."""
        async with self._store.read() as session:
            rows = {row.node: row for row in await session.scalars(select(DeviceRecord))}
        missing: dict[int, str] = {}
        # Together, since one whose engine is away takes its time.
        await asyncio.gather(
            *(
                self._try(row, node.labels.get(LABEL, "").rstrip("/"), missing)
                for node in nodes
                if (row := rows.get(node.id)) is not None and row.did != LOCAL_DEVICE
            )
        )
        self._hosts.missing = missing

    async def _try(self, row: DeviceRecord, label: str, missing: dict[int, str]) -> None:
        if row.address and (row.address != row.node_address or label in ("", row.address)):
            return
        try:
            await self._let_in(row, label)
        except (PlatformError, ValueError) as error:
            if not row.address:
                missing[row.did] = str(error)
            elif str(error) != self._refused.get(row.did):
                self._refused[row.did] = str(error)
                _log.warning("The new address of %s is not taken: %s", row.name, error)

    async def _let_in(self, row: DeviceRecord, label: str) -> None:
        """Take a node's engine as its device's.

        Raises
        ------
        ValueError
            What is missing, and who can give it.
        Conflict, Unavailable
            It is not the node's engine, or does not answer.
        """
        cure = f"set its address (pig device set {row.did} --address …)"
        if not label:
            raise ValueError(
                f"The node has no label {LABEL}: docker node update --label-add "
                f"{LABEL}=tcp://… {row.node}, or {cure}."
            )
        try:
            address = check_address(label)
        except ValueError as error:
            raise ValueError(f"The label {LABEL}={label} {error}.") from None
        if urlsplit(address).scheme == "ssh":
            raise ValueError(f"The host's key is not known yet: {cure} with --host-key.")
        if not self._defaults.node_certificates:
            raise ValueError(
                "No certificates are known for the engines of nodes: name their folder in "
                f"ContainerDefaults.node_certificates, or {cure} with --certificates."
            )
        candidate = Candidate(row.name, address, certificates=self._defaults.node_certificates)
        admitted = await admit(self._hosts, candidate)
        records.check_same(row, admitted)
        async with self._store.write() as session:
            await check_alone(session, admitted, row.name, row.did)
            now = await session.get(DeviceRecord, row.did)
            if now is None:
                return
            admitted.write(now)
            now.node_address = now.address
            now.bind_address = admitted.bind_address
            await self._store.signals.raise_(session, SIGNAL)
        _log.info("The node %s is reached at %s", row.name, address)
        await self._hosts.sync()

    # -- their GPUs ------------------------------------------------------------------------------

    async def _gpus(self, nodes: Sequence[SwarmNode]) -> None:
        """Have the nodes' GPUs, and leave out those that the swarm's own tasks hold."""
        for node in nodes:
            if node.counted_gpus and node.id not in self._counted:
                self._counted.add(node.id)
                _log.warning(
                    "The node %s declares %d GPUs without UUIDs, which can't be given out: nobody "
                    "knows which of them a task has. Declare them as NVIDIA-GPU=GPU-….",
                    node.hostname,
                    node.counted_gpus,
                )
        held: defaultdict[str, set[str]] = defaultdict(set)
        for task in await self._engines.local.driver.tasks():
            held[task.node].update(task.gpus)
        async with self._store.read() as session:
            # Of a node without an engine here nothing can be given out; of device 1 NVML tells.
            rows = await session.execute(
                select(DeviceRecord.node, DeviceRecord.did).where(DeviceRecord.address != "")
            )
            dids = {node: did for node, did in rows.all() if node}
        declared = {dids[node.id]: node.gpus for node in nodes if node.gpus and node.id in dids}
        view = declared, dict(held)
        if view == self._view and time.monotonic() - self._viewed < ALONE_SECONDS:
            return
        async with self._store.write() as session:
            for did, gpus in declared.items():
                await records.set_gpus(session, self._ledger, did, gpus)
            changed = await records.set_foreign(session, self._ledger, held)
        self._view, self._viewed = view, time.monotonic()
        for gid, taken in changed:
            _log.info("GPU %s %s", gid, "is a task's of the swarm" if taken else "is free again")
