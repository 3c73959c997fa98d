"""A list that a panel shows, asked for again whenever something happens to one of its things."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..client import Client
from ..client.events import Frame
from ..client.things import Thing
from ..errors import PlatformError
from .feed import LiveFeed

try:
    import ipywidgets as widgets
except ImportError as error:
    raise ImportError(
        "The panels need ipywidgets: run `pip install 'jupyter-ext[widgets]'`."
    ) from error


class Listing:
    """All of a kind that the caller sees.

    Parameters
    ----------
    topics
        Of the events after which it may be another one; the first one's begin with the list.
    ask
        Returns all of them.
    """

    def __init__(self, topics: tuple[str, ...], ask: Callable[[], list[Thing]]) -> None:
        self.topics = topics
        self.items: list[Thing] = []
        self.trouble = ""
        self._ask = ask

    def look(self) -> None:
        """Ask now."""
        self.items = list(self._ask())

    def begin(self, topic: str, snapshot: Thing) -> None:
        """Take all of them as they are now."""
        if topic == self.topics[0]:
            self.items = [Thing(item) for item in snapshot.get("items") or []]

    def apply(self, frame: Frame) -> bool:
        """Ask again where something has happened; whether it has."""
        if frame.type not in self.topics:
            return False
        self.look()
        return True


class ListPanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A panel about a list, which is kept up to date until it is closed.

    Parameters
    ----------
    client
        A client of the server; the one that is found by itself if left out.
    topics
        Of the list's events, its own first.
    ask
        Returns the list.
    """

    def __init__(
        self, client: Client | None, topics: tuple[str, ...], ask: Callable[[Client], list[Thing]]
    ) -> None:
        self._client = client or Client()
        self._owns_client = client is None
        self._closed = False
        self._workers = ThreadPoolExecutor(2, thread_name_prefix=f"jupyter_ext {topics[0]} panel")
        self.state = Listing(topics, lambda: ask(self._client))
        super().__init__()
        kind = type("Feed", (LiveFeed,), {"about": topics[0]})
        self._feed: LiveFeed[Listing] = kind(self._client, self._changed, self.state)

    def close(self) -> None:
        """End the connection and the threads, and take the panel away."""
        if not self._closed:
            self._closed = True
            self._feed.close()
            self._workers.shutdown(wait=False, cancel_futures=True)
            if self._owns_client:
                self._client.close()
        super().close()

    def draw(self) -> None:
        """Show the list as it is now."""
        raise NotImplementedError

    def table(self) -> Any:
        """Return the list as a table, for where widgets can't be rendered."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and a table for where it can't be rendered."""
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):
            table = self.table()
            bundle["text/plain"] = "\n".join(filter(None, [self.state.trouble, repr(table)]))
            bundle["text/html"] = table._repr_html_()
        return bundle

    def _start(self) -> None:
        """Ask once, so that there is something to show, and go on listening."""
        try:
            self.state.look()
        except PlatformError as error:
            self.state.trouble = error.message
        self.draw()
        self._feed.start()

    def _changed(self, _: str) -> None:
        if not self._closed:
            self.draw()

    def _work(self, act: Callable[[], None]) -> None:
        """Do something in the background."""
        if not self._closed:
            self._workers.submit(act)
