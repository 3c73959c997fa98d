"""What a panel knows, kept up to date by a thread on the event socket."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..client.events import Frame
from ..client.things import Thing
from ..client.transport import reset_delay
from ..errors import PlatformError

if TYPE_CHECKING:
    from ..client import Client
    from ..client.live import Live

log = logging.getLogger("jupyter_ext.notebook")

POINTS = 120
"""Kept of each chart; one comes every 2 s."""
LOG_LINES = 1000


@dataclass
class Usage:
    """What a container used lately."""

    cpu: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    memory: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    limit: float = 0.0

    def add(self, sample: Thing) -> None:
        """Take a sample."""
        self.cpu.append(float(sample.get("cpu_usage") or 0))
        self.memory.append(float(sample.get("memory_usage") or 0))
        self.limit = float(sample.get("memory_limit") or self.limit)


class Shown(Protocol):
    """All that a panel shows.

    Parameters
    ----------
    trouble
        Why it is not live, for a person; empty when it is.
    """

    trouble: str

    @property
    def topics(self) -> Sequence[str]:
        """What is subscribed to."""

    def begin(self, topic: str, snapshot: Thing) -> None:
        """Take a topic's state at the time of the subscription."""

    def apply(self, frame: Frame) -> bool:
        """Take a change; whether it was one."""


S = TypeVar("S", bound=Shown)


@dataclass
class State:
    """All that the panel of containers shows."""

    topics = ("engine", "containers", "images", "operations", "container-stats")
    containers: dict[str, Thing] = field(default_factory=dict)
    images: dict[str, Thing] = field(default_factory=dict)
    operations: dict[str, Thing] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    logs: dict[str, deque[str]] = field(default_factory=dict)
    engine: Thing = field(default_factory=lambda: Thing({"available": True}))
    trouble: str = ""

    def begin(self, topic: str, snapshot: Thing) -> None:
        """Take a topic's state at the time of the subscription."""
        items = [Thing(item) for item in snapshot.get("items") or []]
        if topic == "containers":
            self.containers = {item["id"]: item for item in items}
        elif topic == "images":
            self.images = {item["id"]: item for item in items}
        elif topic == "operations":
            self.operations = {item["id"]: item for item in items}
        elif topic == "engine":
            self.engine = snapshot
        elif topic == "container-stats":
            self.usage = {}
            for cid, samples in (snapshot.get("history") or {}).items():
                usage = self.usage.setdefault(str(cid), Usage())
                for sample in samples[-POINTS:]:
                    usage.add(sample)

    def apply(self, frame: Frame) -> bool:
        """Take a change; whether it was one."""
        data = frame.data
        if frame.type == "containers":
            self._entry(self.containers, data, "container")
        elif frame.type == "images":
            self._entry(self.images, data, "image")
        elif frame.type == "operations":
            self.operations[data["id"]] = data
            for known in list(self.operations)[:-50]:
                del self.operations[known]
        elif frame.type == "engine":
            self.engine = data
        elif frame.type == "container-stats":
            for sample in data.get("items") or []:
                self.usage.setdefault(str(sample["cid"]), Usage()).add(sample)
        elif frame.type == "container-logs":
            self._log(str(data.get("cid")), data)
        else:
            return False
        return True

    def _entry(self, known: dict[str, Thing], data: Thing, kind: str) -> None:
        if data.get("event") == "removed":
            known.pop(data["id"], None)
        elif data.get(kind):
            known[data[kind]["id"]] = Thing(data[kind])

    def _log(self, cid: str, data: Thing) -> None:
        lines = self.logs.setdefault(cid, deque(maxlen=LOG_LINES))
        if data.get("ended"):
            lines.append("\n— the container has stopped —\n")
        else:
            lines.extend(str(data.get("text") or "").splitlines(keepends=True))

    def listed(self) -> list[Thing]:
        """Return the containers, newest first."""
        return sorted(
            self.containers.values(), key=lambda c: str(c.get("created_at")), reverse=True
        )


class LiveFeed(Generic[S]):
    """Keeps a state up to date until it is closed.

    Parameters
    ----------
    on_change
        Called in the feed's thread with the topic that changed.
    """

    about = ""
    """What its thread is named after."""

    def __init__(self, client: Client, on_change: Callable[[str], None], state: S) -> None:
        self.state = state
        self.lock = threading.RLock()
        self._client = client
        self._on_change = on_change
        self._closed = threading.Event()
        self._live: Live | None = None
        name = f"jupyter_ext {self.about}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Connect, in the background."""
        self._thread.start()

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._closed.set()
        live = self._live
        if live is not None:
            live.close()
        if self.alive and threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _run(self) -> None:
        delay = 0.0
        while not self._closed.is_set():
            try:
                with self._client.live() as live:
                    self._live = live
                    if self._closed.is_set():  # while it connected
                        return
                    delay = 0.0
                    self._listen(live)
                    trouble = "The connection to the server was lost."
            except PlatformError as error:
                trouble = error.message
            except OSError as error:
                trouble = str(error)
            finally:
                self._live = None
            if self._closed.is_set():
                return
            self._tell(trouble)
            delay = reset_delay(delay, 0)
            self._closed.wait(delay)

    def _listen(self, live: Live) -> None:
        refused: list[PlatformError] = []
        for topic in self.state.topics:
            try:
                snapshot = live.subscribe(topic)
            except PlatformError as error:
                log.info("No %s: %s", topic, error)
                refused.append(error)
                continue
            with self.lock:
                self.state.begin(topic, snapshot)
            self._on_change(topic)
        if len(refused) == len(self.state.topics):
            raise refused[0]
        self._subscribed()
        self._tell("")
        for frame in live:
            if self._closed.is_set():
                return
            with self.lock:
                changed = self.state.apply(frame)
            if changed:
                self._on_change(frame.type)

    def _subscribed(self) -> None:
        """Do what else belongs to a new connection."""

    def _tell(self, trouble: str) -> None:
        with self.lock:
            self.state.trouble = trouble
        self._on_change("connection")


class ContainerFeed(LiveFeed[State]):
    """Follows containers and, where asked to, what they print."""

    about = "containers"

    def __init__(self, client: Client, on_change: Callable[[str], None]) -> None:
        super().__init__(client, on_change, State())
        self._following: set[int] = set()

    def follow_logs(self, cid: int) -> None:
        """Start to collect what a container prints."""
        with self.lock:
            self.state.logs[str(cid)] = deque(maxlen=LOG_LINES)
            self._following.add(cid)
        self._post("subscribe", cid)

    def leave_logs(self, cid: int) -> None:
        """Stop to collect it."""
        with self.lock:
            self._following.discard(cid)
            self.state.logs.pop(str(cid), None)
        self._post("unsubscribe", cid)

    def _post(self, kind: str, cid: int) -> None:
        live = self._live
        if live is not None:
            live.post(kind, {"topic": "container-logs", "cid": cid, "tail": 200})

    def _subscribed(self) -> None:
        for cid in list(self._following):
            self._post("subscribe", cid)
