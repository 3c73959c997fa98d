"""`GpusPanel`: how busy the GPUs are and who has them, live, in a cell."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import traitlets

from ..cli.commands.gpus import NONE, holder, listing, state_of
from ..cli.views import Table, ago, clean, size
from ..client import Client
from ..client.things import Thing
from ..errors import PlatformError
from .gpu_state import WINDOW_SECONDS, GpuFeed, GpuState

try:
    import anywidget
except ImportError as error:
    raise ImportError(
        "GpusPanel needs anywidget: run `pip install 'jupyter-ext[widgets]'`."
    ) from error

HERE = Path(__file__).parent


class GpusPanel(anywidget.AnyWidget):
    """The GPUs: how busy they are, how full, who has them, how many wait.

    It streams only while somebody can see it: its views tell when they come into sight and go out
    of it. Where widgets don't render, the GPUs at the time of the display are shown as a table.

    Parameters
    ----------
    client
        A client of the server; the one that is found by itself if left out.
    """

    _esm = HERE / "gpu_panel.js"
    _css = HERE / "gpu_panel.css"

    shown = traitlets.Dict().tag(sync=True)
    """What the views draw."""

    def __init__(self, client: Client | None = None) -> None:
        self._client = client or Client()
        self._owns_client = client is None
        self._state = GpuState()
        self._feed: GpuFeed | None = None
        self._watched: set[str] = set()
        self._turning = threading.RLock()
        self._ended = False
        super().__init__()
        self.on_msg(self._told)
        self._first_look()

    @property
    def streaming(self) -> bool:
        """Whether it is being kept up to date now."""
        return self._feed is not None

    def close(self) -> None:
        """End the connection and the thread, and take the panel away."""
        with self._turning:
            self._ended = True
            self._rest()
        if self._owns_client:
            self._client.close()
        super().close()

    def table(self) -> Table:
        """Return the GPUs as they are now, as a table."""
        return listing(self._state.gpus)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and a table for where it can't be rendered."""
        found = super()._repr_mimebundle_(**options)
        if found is None:
            return None
        bundle, metadata = found
        table, trouble = self.table(), self._state.trouble
        bundle["text/plain"] = "\n".join(filter(None, [trouble, repr(table)]))
        bundle["text/html"] = table._repr_html_()
        return bundle, metadata

    # -- when somebody looks ----------------------------------------------------------------------

    def _told(self, _: Any, content: Any, buffers: Any) -> None:
        """Hear from a view whether somebody can see it."""
        view = str(content.get("view") or "")
        with self._turning:
            if content.get("seen"):
                self._watched.add(view)
                self._begin()
            else:
                self._watched.discard(view)
                if not self._watched:
                    self._rest()

    def _begin(self) -> None:
        if self._feed is None and not self._ended:
            self._feed = GpuFeed(self._client, lambda _: self._draw(), self._state)
            self._feed.start()

    def _rest(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    # -- what is shown ----------------------------------------------------------------------------

    def _first_look(self) -> None:
        """Ask once, so that there is something to show before anybody has seen it."""
        try:
            gpus = self._client.gpus.list()
            waiting = self._client.gpus.waiting() if gpus else 0
            self._state.begin("gpus", Thing({"gpus": gpus, "waiting": waiting}))
        except PlatformError as error:
            self._state.trouble = error.message
        self._draw()

    def _draw(self) -> None:
        # Without a lock: who writes the state calls this, and only ever puts new lists in place.
        state = self._state
        if not self._ended:
            self.shown = {
                "gpus": [self._gpu(gpu) for gpu in state.gpus],
                "waiting": state.waiting,
                "trouble": state.trouble,
                "none": NONE,
                "window": WINDOW_SECONDS,
            }

    def _gpu(self, gpu: Thing) -> dict[str, Any]:
        past = self._state.past.get(gpu["gid"], [])
        used, busy = gpu.get("memory_used"), gpu.get("utilization")
        degrees, watts = gpu.get("temperature"), gpu.get("power")
        return {
            "gid": gpu["gid"],
            "model": clean(gpu["model"]),
            "uuid": clean(gpu["uuid"]),
            "state": state_of(gpu),
            "free": bool(gpu["free"]),
            "holders": [f"{clean(holder(h))}, {ago(h['since'])}" for h in gpu["holders"]],
            "facts": [
                *([f"{degrees} °C"] if degrees is not None else []),
                *([f"{watts:.0f} W"] if watts is not None else []),
            ],
            "busy": f"{busy} %" if busy is not None else "–",
            "used": f"{size(used) if used is not None else '–'} of {size(gpu['memory'])}",
            "memory": gpu["memory"],
            "past": past,
        }
