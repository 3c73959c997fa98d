"""`DatabasesPanel`: your databases, in a cell."""

from __future__ import annotations

import threading
from html import escape
from typing import Any

import ipywidgets as widgets

from ..cli.commands.databases import COLUMNS, NONE
from ..cli.views import Table, ago, clean
from ..client import Client
from ..client.things import Thing
from ..errors import PlatformError
from .databases import led, open_here
from .forms import Field, Form
from .listing import ListPanel
from .rows import QUIET, Row, button, message


class DatabaseRow(Row):
    """A database, and what can be done with it."""

    def __init__(self, thing: Thing, act: Any) -> None:
        super().__init__(thing, act)
        self._open = button("plug", "Use", lambda: self.act("use"))
        self.update(thing)

    def update(self, thing: Thing) -> None:
        """Show a database as it is now."""
        self.thing = thing
        name = self._name()
        made = ago(thing["created_at"]) if thing.get("created_at") else ""
        facts = filter(None, [thing.get("size") or "not measured yet", made])
        text = (
            f'<div style="line-height: 1.4"><b>{escape(name)}</b> '
            f'<span style="{QUIET}">{escape(clean(thing["owner"]))}</span><br>'
            f'<span style="{QUIET}">{escape(", ".join(facts))}</span></div>'
        )
        if self._text.value != text:
            self._text.value = text
        self._open.tooltip = f"Use {name} in this notebook"
        self._delete.tooltip = f"Delete {name}"
        self._arrange([self._open] if thing["system"] else [self._open, self._delete])


class DatabasesPanel(ListPanel):
    """Your PostgreSQL databases, live: made, used in this notebook, deleted.

    Where widgets don't render, they are shown as a table.

    Parameters
    ----------
    client
        A client of the server; the one that is found by itself if left out.
    """

    def __init__(self, client: Client | None = None) -> None:
        # A restore keeps what was there before as a database of its own.
        topics = ("databases", "backups")
        super().__init__(client, topics, lambda found: found.databases.list())
        self._rows: dict[str, DatabaseRow] = {}
        self._drawing = threading.RLock()
        self._banner = widgets.HTML()
        self._list = widgets.VBox()
        self._create = Form(
            {
                "name": Field("Name", widgets.Text(placeholder="mydb")),
                "extensions": Field("Extensions", widgets.Text(placeholder="pg_trgm, hstore")),
            },
            "Make",
            self._make,
        )
        title = widgets.HTML("<b>Databases</b>", layout=widgets.Layout(flex="1 1 auto"))
        new = widgets.Button(description="New database", icon="plus")
        new.on_click(lambda _: self._create.show())
        self.children = (
            widgets.HBox([title, new]),
            self._banner,
            self._create.widget,
            self._list,
        )
        self._start()

    def table(self) -> Table:
        """Return the databases as they are now, as a table."""
        return Table(COLUMNS, self.state.items, NONE)

    def draw(self) -> None:
        """Show the databases as they are now."""
        with self._drawing, self._feed.lock:
            self._banner.value = message(self.state.trouble)
            listed = self.state.items
            for gone in set(self._rows) - {each["name"] for each in listed}:
                self._rows.pop(gone).widget.close()
            for each in listed:
                row = self._rows.get(each["name"])
                if row is None:
                    self._rows[each["name"]] = DatabaseRow(each, self._act)
                else:
                    row.update(each)
            shown = tuple(self._rows[each["name"]].widget for each in listed)
            if not shown:
                shown = (widgets.HTML(message("No databases yet: make one.", wrong=False)),)
            if not listed or self._list.children != shown:
                self._list.children = shown

    def _act(self, action: str, database: Thing) -> None:
        name = database["name"]
        row = self._rows[name]
        if action == "use":
            # Here, not in a thread: it is this notebook's own environment.
            try:
                row.say(led(open_here(self._client.databases.connection(name)), name), wrong=False)
            except PlatformError as error:
                row.say(error.message)
            return
        row.busy(True)

        def drop() -> None:
            try:
                self._client.databases.delete(name)
            except PlatformError as error:
                row.say(error.message)
            finally:
                row.busy(False)

        self._work(drop)

    def _make(self) -> None:
        form = self._create
        name = form.fields["name"].text
        if not name:
            form.wrong("", {"name": "This is needed."})
            return
        wanted = [each.strip() for each in form.fields["extensions"].text.split(",")]
        form.clear()
        form.busy(True)

        def make() -> None:
            try:
                self._client.databases.create(
                    name,
                    extensions=[each for each in wanted if each] or None,
                    progress=lambda operation: form.progress(f"Making {clean(name)}", operation),
                )
                form.hide()
            except PlatformError as error:
                form.wrong(error.message, error.fields)
            finally:
                form.busy(False)

        self._work(make)
