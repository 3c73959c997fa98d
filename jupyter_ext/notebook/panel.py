"""`ContainersPanel`: what the side panel does, in a cell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

from ..cli.commands.container_views import listing
from ..cli.views import Table, clean
from ..client import Client
from ..client.things import Thing
from ..errors import PlatformError
from .feed import ContainerFeed

try:
    import ipywidgets as widgets
except ImportError as error:
    raise ImportError(
        "ContainersPanel needs ipywidgets: run `pip install 'jupyter-ext[widgets]'`."
    ) from error

from .forms import Form, NewContainer, PullImage
from .rows import ContainerRow, ImageRow, Row, button, message


class ContainersPanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Your containers and images, live.

    Its state comes over one WebSocket, in a thread that ends with `close`. Where widgets don't
    render, the list of containers at the time of the display is shown as a table.

    Parameters
    ----------
    client
        A client of the server; the one that is found by itself if left out.
    """

    def __init__(self, client: Client | None = None) -> None:
        self._client = client or Client()
        self._owns_client = client is None
        self._drawing = threading.RLock()
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="jupyter_ext panel")
        self._rows: dict[str, ContainerRow] = {}
        self._images: dict[str, ImageRow] = {}
        self._shown_logs: Thing | None = None
        self._closed = False

        self._banner = widgets.HTML()
        self._create = NewContainer(self._start_new)
        self._pull = PullImage(self._start_pull)
        self._list = widgets.VBox()
        self._image_list = widgets.VBox()
        self._image_box = widgets.Accordion(children=[self._image_list], titles=["Images"])
        self._image_box.selected_index = None
        self._log_text = widgets.HTML()
        self._log_title = widgets.HTML(layout=widgets.Layout(flex="1 1 auto"))
        leave = button("times", "Close the logs", self._leave_logs)
        self._log_box = widgets.VBox([widgets.HBox([self._log_title, leave]), self._log_text])
        self._log_box.layout.display = "none"
        super().__init__(
            [
                self._header(),
                self._banner,
                self._create.widget,
                self._pull.widget,
                self._list,
                self._log_box,
                self._image_box,
            ]
        )
        self._feed = ContainerFeed(self._client, self._changed)
        self._first_look()
        self._feed.start()

    def close(self) -> None:
        """End the connection and the thread, and take the panel away."""
        if not self._closed:
            self._closed = True
            self._feed.close()
            self._workers.shutdown(wait=False, cancel_futures=True)
            if self._owns_client:
                self._client.close()
        super().close()

    # -- what is shown ----------------------------------------------------------------------------

    def table(self) -> Table:
        """Return the containers as they are now, as a table."""
        with self._feed.lock:
            return listing(self._feed.state.listed())

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and a table for where it can't be rendered."""
        bundle = super()._repr_mimebundle_(**options)
        if isinstance(bundle, dict):
            table = self.table()
            trouble = self._trouble()
            bundle["text/plain"] = "\n".join(filter(None, [trouble, repr(table)]))
            bundle["text/html"] = message(trouble) + table._repr_html_()
        return bundle

    def _header(self) -> Any:
        title = widgets.HTML("<b>Containers</b>", layout=widgets.Layout(flex="1 1 auto"))
        new = widgets.Button(description="New container", icon="plus")
        new.on_click(lambda _: self._toggle(self._create))
        pull = widgets.Button(description="Pull image", icon="download")
        pull.on_click(lambda _: self._toggle(self._pull))
        return widgets.HBox([title, new, pull])

    def _first_look(self) -> None:
        """Ask once, so that there is something to show before the socket is there."""
        try:
            for container in self._client.containers.list():
                self._feed.state.containers[container["id"]] = container
        except PlatformError as error:
            self._feed.state.trouble = error.message
        self._draw_containers()
        self._draw_banner()

    def _changed(self, topic: str) -> None:
        """Draw what has changed; called by the feed."""
        if self._closed:
            return
        with self._drawing:
            if topic in ("containers", "container-stats"):
                self._draw_containers()
            elif topic == "images":
                self._draw_images()
            elif topic == "container-logs":
                self._draw_logs()
            elif topic in ("engine", "connection"):
                self._draw_banner()

    def _trouble(self) -> str:
        state = self._feed.state
        engine = state.engine
        if not engine.get("available", True):
            return f"{engine.get('what') or 'No engine.'} {engine.get('cure') or ''}".strip()
        return state.trouble

    def _draw_banner(self) -> None:
        with self._feed.lock:
            text = self._trouble()
        self._banner.value = message(text)

    def _draw_containers(self) -> None:
        with self._drawing, self._feed.lock:
            listed = self._feed.state.listed()
            usage = dict(self._feed.state.usage)
            for known in set(self._rows) - {container["id"] for container in listed}:
                self._rows.pop(known).widget.close()
            for container in listed:
                row = self._rows.get(container["id"])
                if row is None:
                    row = self._rows[container["id"]] = ContainerRow(container, self._act)
                row.update(container, usage.get(str(container.get("cid"))))
            shown = tuple(self._rows[container["id"]].widget for container in listed)
            if not shown:
                shown = (widgets.HTML(message("No containers yet: make one.", wrong=False)),)
            if not listed or self._list.children != shown:
                self._list.children = shown

    def _draw_images(self) -> None:
        with self._drawing, self._feed.lock:
            found = list(self._feed.state.images.values())
            for known in set(self._images) - {image["id"] for image in found}:
                self._images.pop(known).widget.close()
            for image in found:
                row = self._images.get(image["id"])
                if row is None:
                    self._images[image["id"]] = ImageRow(image, self._act_image)
                else:
                    row.update(image)
            self._image_list.children = tuple(self._images[i["id"]].widget for i in found)
            tags = [tag for image in found for tag in image.get("tags") or []]
            self._create.offer(tags)

    def _draw_logs(self) -> None:
        shown = self._shown_logs
        if shown is None:
            return
        with self._feed.lock:
            text = "".join(self._feed.state.logs.get(str(shown.get("cid")), ()))
        said = escape(text) or "Nothing printed yet."
        self._log_text.value = (
            '<pre tabindex="0" style="max-height: 300px; overflow: auto; margin: 0; display: flex; '
            f'flex-direction: column-reverse"><code>{said}</code></pre>'
        )

    # -- what is done -----------------------------------------------------------------------------

    def _toggle(self, form: Form) -> None:
        shown = form.shown
        self._create.hide()
        self._pull.hide()
        if not shown:
            form.show()

    def _act(self, action: str, container: Thing) -> None:
        if action == "logs":
            self._show_logs(container)
            return
        calls = self._client.containers
        acts: dict[str, Callable[[str], object]] = {
            "start": calls.start,
            "stop": calls.stop,
            "restart": calls.restart,
            "delete": calls.delete,
        }
        act = acts[action]
        self._work(self._rows.get(container["id"]), lambda: act(container["id"]))

    def _act_image(self, action: str, image: Thing) -> None:
        row = self._images.get(image["id"])
        self._work(row, lambda: self._client.images.delete(image["id"]))

    def _work(self, row: Row | None, act: Any) -> None:
        """Do something in the background; the row is quiet meanwhile and says what went wrong."""
        if row is None:
            return
        row.say("")
        row.busy(True)

        def work() -> None:
            try:
                act()
            except PlatformError as error:
                row.say(error.message)
            finally:
                row.busy(False)

        self._workers.submit(work)

    def _start_new(self) -> None:
        form = self._create
        try:
            spec = form.spec()
        except PlatformError as error:
            form.wrong(error.message, error.fields)
            return
        title = f"Starting {clean(spec['name'])}"
        self._send(form, title, lambda tell: self._client.containers.create(spec, progress=tell))

    def _start_pull(self) -> None:
        form = self._pull
        name = form.fields["name"].text
        if not name:
            form.wrong("", {"name": "This is needed."})
            return
        title = f"Pulling {clean(name)}"
        self._send(form, title, lambda tell: self._client.images.pull(name, progress=tell))

    def _send(self, form: Form, title: str, call: Any) -> None:
        form.clear()
        form.busy(True)

        def work() -> None:
            try:
                call(lambda operation: form.progress(title, operation))
                form.hide()
            except PlatformError as error:
                form.wrong(error.message, error.fields)
            finally:
                form.busy(False)

        self._workers.submit(work)

    def _show_logs(self, container: Thing) -> None:
        self._leave_logs()
        self._shown_logs = container
        self._log_title.value = f"<b>Logs of {escape(clean(container.get('name')))}</b>"
        self._log_box.layout.display = "flex"
        self._draw_logs()
        self._feed.follow_logs(int(container["cid"]))

    def _leave_logs(self) -> None:
        if self._shown_logs is not None:
            self._feed.leave_logs(int(self._shown_logs["cid"]))
            self._shown_logs = None
            self._log_box.layout.display = "none"
