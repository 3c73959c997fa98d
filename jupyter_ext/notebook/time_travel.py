"""`TimeTravel`: the moments to which your databases can go back, in a cell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import ipywidgets as widgets

from ..cli.commands.backup_views import COLUMNS, planned, restored, taken
from ..cli.commands.backups import NONE
from ..cli.views import Table, clean
from ..client import Client
from ..client.moments import backup_for
from ..client.things import Thing
from ..errors import Forbidden, PlatformError
from .console import bars
from .listing import ListPanel
from .rows import message
from .timeline import Lane, draw, extent, lanes

STEPS = 1000
SYSTEM = ("postgres", "template0", "template1")
ASKING = message("Pick a moment and databases.", wrong=False)
WORD = "restore"
LOST = message(
    "Everybody's databases go back: what anybody wrote since then is no more in them, and all "
    f"sessions end. Type {WORD} to replace the whole cluster."
)


class TimeTravel(ListPanel):
    """A time line of your backups: pick a moment, read what would happen, go back.

    The button works once the dry run of just this was shown. Administrators may take the whole
    cluster back, for which a word is typed first.

    Parameters
    ----------
    client
        A client of the server; the one that is found by itself if left out.
    """

    def __init__(self, client: Client | None = None) -> None:
        super().__init__(client, ("backups",), lambda found: found.backups.list())
        self._lanes: list[Lane] = []
        self._asked: dict[str, Any] | None = None
        self._read: dict[str, Any] | None = None
        self._admin: bool | None = None
        self._moving = False
        wide = widgets.Layout(width="auto")
        self._banner = widgets.HTML()
        self._drawing = widgets.HTML(layout=wide)
        self._slider = widgets.IntSlider(
            value=STEPS,
            max=STEPS,
            readout=False,
            layout=widgets.Layout(width="100%", max_width="600px"),
        )
        self._moment = widgets.DatetimePicker(description="Moment")
        self._timeline = widgets.Dropdown(description="Timeline")
        self._databases = widgets.SelectMultiple(description="Databases", rows=4)
        self._whole = widgets.Checkbox(
            description="The whole cluster: everybody's databases", indent=False
        )
        self._whole.layout = widgets.Layout(width="auto", margin="0 0 0 90px", display="none")
        self._word = widgets.Text(description=f"Type {WORD}", layout=widgets.Layout(width="300px"))
        self._agreement = widgets.VBox([widgets.HTML(LOST, layout=wide), self._word])
        self._agreement.layout.display = "none"
        self._backup = widgets.Button(description="Back up now", icon="archive")
        self._restore = widgets.Button(
            description="Restore", button_style="danger", icon="history", disabled=True
        )
        self._plan = widgets.HTML(ASKING, layout=wide)
        self._said = widgets.HTML(layout=wide)
        self._choices = widgets.VBox(
            [
                self._moment,
                self._timeline,
                self._databases,
                self._whole,
                self._plan,
                self._agreement,
            ]
        )
        self._slider.observe(self._slid, "value")
        for control in (self._moment, self._timeline, self._databases, self._whole):
            control.observe(self._picked, "value")
        self._word.observe(lambda _: self._offer(), "value")
        self._backup.on_click(lambda _: self._take())
        self._restore.on_click(lambda _: self._go_back())
        self.children = (
            self._banner,
            self._drawing,
            self._slider,
            self._choices,
            widgets.HBox([self._restore, self._backup]),
            self._said,
        )
        self._start()

    def table(self) -> Table:
        """Return the backups as they are now, as a table."""
        return Table(COLUMNS, self.state.items, NONE)

    def draw(self) -> None:
        """Show the time line as it is now."""
        if self._admin is None:
            self._work(self._meet)
        with self._feed.lock:
            backups = list(self.state.items)
            self._banner.value = message(self.state.trouble)
        now = time.time()
        self._lanes = lanes(backups, now)
        names = sorted({name for each in backups for name in each.databases} - {*SYSTEM})
        timelines = [lane.timeline for lane in self._lanes]
        if tuple(self._databases.options) != tuple(names):
            kept = [name for name in self._databases.value if name in names]
            self._databases.options = names
            # The only one need not be chosen.
            self._databases.value = kept or (names if len(names) == 1 else [])
        if tuple(self._timeline.options) != tuple(timelines):
            self._timeline.options = timelines
            # A new one is where the cluster went on from when all of it was restored.
            self._timeline.value = timelines[0] if timelines else None
        for one in (self._slider, self._choices, self._restore):
            one.layout.display = None if backups else "none"
        self._timeline.layout.display = None if len(timelines) > 1 else "none"
        if not backups:
            self._drawing.value = message("No backups yet: take one.", wrong=False)
            return
        picked = self._moment.value.timestamp() if self._moment.value else None
        self._drawing.value = draw(self._lanes, now, picked, self._timeline.value)

    def _meet(self) -> None:
        """Offer the whole cluster to those who may restore it."""
        try:
            self._admin = self._client.users.me().role == "admin"
        except Forbidden:
            self._admin = False
        except PlatformError:
            return  # asked again when something has happened
        self._whole.layout.display = None if self._admin else "none"

    # -- choosing ---------------------------------------------------------------------------------

    def _slid(self, change: Any) -> None:
        """Pick the moment below which the slider stands."""
        if self._moving or not self._lanes:
            return
        first, last = extent(self._lanes, time.time())
        moment = first + (last - first) * change["new"] / STEPS
        self._moment.value = datetime.fromtimestamp(int(moment), UTC)

    def _picked(self, _: Any) -> None:
        """Ask what would happen."""
        self._asked = self._read = None
        self._offer()
        whole = bool(self._whole.value)
        self._databases.disabled = whole
        moment, names = self._moment.value, [] if whole else list(self._databases.value)
        if not self._lanes:
            return
        if moment is not None:
            first, last = extent(self._lanes, time.time())
            part = (moment.timestamp() - first) / (last - first)
            self._moving = True
            self._slider.value = round(min(max(part, 0), 1) * STEPS)
            self._moving = False
        self.draw()
        if moment is None or not (names or whole):
            self._plan.value = ASKING
            return
        # A timeline is named only where there are several: the newest one may have ended by now.
        several = len(self._lanes) > 1
        timeline = self._timeline.value if several else None
        asked = {"to": moment, "timeline": timeline, "databases": names}
        self._asked = asked
        self._plan.value = message("Looking what would happen…", wrong=False)
        self._work(lambda: self._look(asked))

    def _look(self, asked: dict[str, Any]) -> None:
        try:
            source = self._source(asked)
            plan = self._client.backups.restore(source.id, dry_run=True, **asked)
            text, read = planned(plan)._repr_html_(), asked
        except PlatformError as error:
            problem = "; ".join(error.fields.values()) or error.message
            text, read = message(problem), None
        if asked is self._asked and not self._closed:
            self._plan.value = text
            self._read = read
            self._offer()

    def _source(self, asked: Mapping[str, Any]) -> Thing:
        """Return the backup that a restore begins with."""
        return backup_for(self.state.items, asked["to"], asked["timeline"], asked["databases"])

    def _offer(self) -> None:
        """Let the button work once what would happen was read and, where it must be, agreed to."""
        read = self._read if self._read is self._asked else None
        whole = read is not None and not read["databases"]
        self._agreement.layout.display = None if whole else "none"
        agreed = not whole or self._word.value.strip().lower() == WORD
        self._restore.disabled = read is None or not agreed

    # -- doing ------------------------------------------------------------------------------------

    def _go_back(self) -> None:
        asked = self._read
        if asked is None or self._restore.disabled:
            return
        self._read = None
        self._word.value = ""
        self._offer()
        source = self._source(asked)

        def work(tell: Any) -> str:
            made = self._client.backups.restore(source.id, progress=tell, **asked)
            return repr(restored(made))

        names = clean(", ".join(asked["databases"])) or "the whole cluster"
        self._long(f"Restoring {names}", work)

    def _take(self) -> None:
        self._backup.disabled = True

        def work(tell: Any) -> str:
            kind = "incremental" if self.state.items else "full"
            made = self._client.backups.create(type=kind, progress=tell)
            return taken(made)

        self._long("Backing up", work)

    def _long(self, title: str, work: Any) -> None:
        """Do long work in the background, and say how far it is and how it ended."""

        def tell(operation: Thing) -> None:
            if operation.get("message"):
                self._said.value = bars(title, operation)

        def run() -> None:
            try:
                self._said.value = message(work(tell), wrong=False)
            except PlatformError as error:
                self._said.value = message(error.message)
            finally:
                self._backup.disabled = False

        self._work(run)
