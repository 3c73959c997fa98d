"""One container, and one image, as a row of the panel."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as widgets

from ..cli.commands.container_views import published
from ..cli.views import ago, clean, size
from ..client.things import Thing
from .feed import Usage
from .svg import sparkline

COLOURS = {
    "running": "var(--jp-success-color1, #388e3c)",
    "paused": "var(--jp-warn-color1, #f57c00)",
    "restarting": "var(--jp-warn-color1, #f57c00)",
    "dead": "var(--jp-error-color1, #d32f2f)",
    "lost": "var(--jp-error-color1, #d32f2f)",
}
QUIET = "color: var(--jp-ui-font-color2, #616161)"
RUNNING = ("running", "paused", "restarting")

Act = Callable[[str, Thing], None]


def button(icon: str, tooltip: str, on_click: Callable[[], None], **options: Any) -> Any:
    """Return a small button that is told by its icon."""
    made = widgets.Button(
        icon=icon, tooltip=tooltip, layout=widgets.Layout(width="34px"), **options
    )
    made.on_click(lambda _: on_click())
    return made


def message(text: str, *, wrong: bool = True) -> str:
    """Return a sentence as HTML, in the colour of errors where something is wrong."""
    if not text:
        return ""
    colour = "var(--jp-error-color1, #d32f2f)" if wrong else "inherit"
    role = "alert" if wrong else "status"
    return f'<div role="{role}" style="color: {colour}; line-height: 1.4">{escape(text)}</div>'


class Row:
    """Something with a name, buttons, a question before it is deleted, and what went wrong.

    Parameters
    ----------
    act
        Called with the action's word and the thing.
    """

    def __init__(self, thing: Thing, act: Act) -> None:
        self.thing = thing
        self._act = act
        self._text = widgets.HTML(layout=widgets.Layout(flex="1 1 auto", min_width="0"))
        self._buttons = widgets.HBox()
        self._ordinary: list[Any] = []
        self._said = widgets.HTML()
        self._delete = button("trash", "Delete", self._ask)
        self._line = widgets.HBox([self._text, self._buttons])
        self._line.layout.align_items = "center"
        self._line.layout.flex_flow = "row wrap"
        self.widget = widgets.VBox([self._line])
        self.widget.layout.border_bottom = "1px solid var(--jp-border-color2, #e0e0e0)"
        self.widget.layout.padding = "4px 0"

    def say(self, text: str, *, wrong: bool = True) -> None:
        """Show a sentence below the row; nothing for an empty one."""
        self._said.value = message(text, wrong=wrong)
        shown = (self._line, self._said) if text else (self._line,)
        if self.widget.children != shown:
            self.widget.children = shown

    def busy(self, busy: bool) -> None:
        """Switch the buttons off while something is going on."""
        for one in self._buttons.children:
            one.disabled = busy

    def act(self, action: str) -> None:
        """Do something with the thing."""
        self._restore()
        self._act(action, self.thing)

    def _ask(self) -> None:
        question = widgets.HTML(f"Delete {escape(self._name())}?")
        sure = widgets.Button(description="Delete", button_style="danger")
        sure.on_click(lambda _: self.act("delete"))
        no = widgets.Button(description="Keep")
        no.on_click(lambda _: self._restore())
        for one in (sure, no):
            one.layout.width = "auto"
        self._buttons.children = (question, sure, no)

    def _restore(self) -> None:
        self._buttons.children = tuple(self._ordinary)

    def _arrange(self, ordinary: list[Any]) -> None:
        """Show these buttons, unless a question stands there."""
        asking = bool(self._ordinary) and self._buttons.children != tuple(self._ordinary)
        self._ordinary = ordinary
        if not asking and self._buttons.children != tuple(ordinary):
            self._restore()

    def _name(self) -> str:
        return clean(self.thing.get("name"))


class ContainerRow(Row):
    """A container: its state, its use, and what can be done with it."""

    def __init__(self, thing: Thing, act: Act) -> None:
        super().__init__(thing, act)
        self._start = button("play", "Start", lambda: self.act("start"))
        self._stop = button("stop", "Stop", lambda: self.act("stop"))
        self._restart = button("refresh", "Restart", lambda: self.act("restart"))
        self._logs = button("file-text-o", "Logs", lambda: self.act("logs"))
        self._charts = widgets.HTML()
        self._line.children = (self._text, self._charts, self._buttons)
        self.update(thing, None)

    def update(self, thing: Thing, usage: Usage | None) -> None:
        """Show a container as it is now."""
        self.thing = thing
        name, status = self._name(), clean(thing.get("status"))
        colour = COLOURS.get(status, "var(--jp-ui-font-color2, #616161)")
        beside = ", ".join(
            filter(None, [clean(thing.get("image")), clean(published(thing.get("ports") or {}))])
        )
        text = (
            f'<div style="line-height: 1.4"><b>{escape(name)}</b> '
            f'<span style="color: {colour}">● {escape(status)}</span><br>'
            f'<span style="{QUIET}">{escape(beside)}</span></div>'
        )
        if self._text.value != text:
            self._text.value = text
        for one, word in (
            (self._start, "Start"),
            (self._stop, "Stop"),
            (self._restart, "Restart"),
            (self._logs, "Logs of"),
            (self._delete, "Delete"),
        ):
            one.tooltip = f"{word} {name}"
        running = status in RUNNING
        first = [self._stop, self._restart] if running else [self._start]
        self._arrange([*first, self._logs, self._delete])
        charts = use(usage) if running and usage is not None else ""
        if self._charts.value != charts:
            self._charts.value = charts


class ImageRow(Row):
    """An image, and its deletion."""

    def __init__(self, thing: Thing, act: Act) -> None:
        super().__init__(thing, act)
        self.update(thing)

    def update(self, thing: Thing) -> None:
        """Show an image as it is now."""
        self.thing = thing
        beside = f"{size(thing.get('size'))}, {ago(thing.get('created_at'))}"
        text = (
            f'<div style="line-height: 1.4"><b>{escape(self._name())}</b><br>'
            f'<span style="{QUIET}">{escape(beside)}</span></div>'
        )
        if self._text.value != text:
            self._text.value = text
        self._delete.tooltip = f"Delete {self._name()}"
        self._arrange([self._delete])

    def _name(self) -> str:
        return clean(", ".join(self.thing.get("tags") or ["<none>"]))


def use(usage: Usage) -> str:
    """Return the charts of CPU and memory with their figures."""
    if not usage.cpu:
        return ""
    cpu, memory = usage.cpu[-1], usage.memory[-1]
    megabytes = [value / 1e6 for value in usage.memory]
    shown = f"CPU {cpu:.1f} %", f"Memory {size(memory)}"
    charts = sparkline(list(usage.cpu), shown[0], top=5.0), sparkline(megabytes, shown[1], top=1.0)
    style = f"{QUIET}; font-size: 90%; line-height: 1.3; margin: 0 12px 0 0; text-align: center"
    return (
        '<div style="display: flex">'
        + "".join(
            f'<div style="{style}">{chart}<br>{escape(text)}</div>'
            for chart, text in zip(charts, shown, strict=True)
        )
        + "</div>"
    )
