"""The panel's forms: a new container, and an image to pull."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from ..client import specs
from ..client.things import Thing
from ..errors import InvalidRequest
from .console import bars
from .rows import message

LABELS = "110px"


class Field:
    """An input with its name beside it and its problem below."""

    def __init__(self, label: str, control: Any) -> None:
        self.control = control
        control.layout.width = "auto"
        control.description = label
        control.style.description_width = LABELS
        self._problem = widgets.HTML(layout=widgets.Layout(margin=f"0 0 0 calc({LABELS} + 10px)"))
        self._problem.layout.display = "none"
        self.widget = widgets.VBox([control, self._problem])

    @property
    def text(self) -> str:
        """What was written."""
        return str(self.control.value or "").strip()

    @property
    def lines(self) -> list[str]:
        """What was written, by line."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    def problem(self, text: str) -> None:
        """Show what is wrong with it."""
        self._problem.value = message(text)
        self._problem.layout.display = "block" if text else "none"


class Form:
    """Fields, a button that sends them, one that leaves, and a place for what went wrong."""

    def __init__(self, fields: Mapping[str, Field], send: str, on_send: Callable[[], None]) -> None:
        self.fields = dict(fields)
        self._send = widgets.Button(description=send, button_style="primary")
        self._send.on_click(lambda _: on_send())
        leave = widgets.Button(description="Cancel")
        leave.on_click(lambda _: self.hide())
        self.said = widgets.HTML()
        buttons = widgets.HBox([self._send, leave])
        buttons.layout.margin = f"0 0 0 calc({LABELS} + 10px)"
        inputs = [field.widget for field in self.fields.values()]
        self.widget = widgets.VBox([*inputs, buttons, self.said])
        self.widget.layout.padding = "8px 0"
        self.hide()

    @property
    def shown(self) -> bool:
        """Whether it is open."""
        return bool(self.widget.layout.display != "none")

    def show(self) -> None:
        """Open it."""
        self.widget.layout.display = "flex"

    def hide(self) -> None:
        """Close it, without what it said."""
        self.widget.layout.display = "none"
        self.clear()

    def clear(self) -> None:
        """Forget what it said."""
        self.said.value = ""
        for field in self.fields.values():
            field.problem("")

    def busy(self, busy: bool) -> None:
        """Take no second click while the first is at work."""
        self._send.disabled = busy

    def wrong(self, text: str, problems: Mapping[str, str]) -> None:
        """Show each problem at its field, the rest below."""
        self.clear()
        rest: list[str] = []
        for name, problem in problems.items():
            field = self.fields.get(name.partition(".")[0])
            if field is None:
                rest.append(f"{name}: {problem}")
            else:
                field.problem(problem)
        if not problems or rest:
            self.said.value = message("; ".join(rest) or text)

    def progress(self, title: str, operation: Thing) -> None:
        """Show how far it is."""
        if operation.get("message"):
            self.said.value = bars(title, operation)


class NewContainer(Form):
    """What a new container needs."""

    def __init__(self, on_send: Callable[[], None]) -> None:
        area = widgets.Layout(height="52px")
        super().__init__(
            {
                "image": Field("Image", widgets.Combobox(placeholder="busybox:latest")),
                "name": Field("Name", widgets.Text(placeholder="web")),
                "command": Field("Command", widgets.Text(placeholder="the image's own")),
                "ports": Field(
                    "Ports", widgets.Textarea(placeholder="8080:80, one a line", layout=area)
                ),
                "environment": Field(
                    "Environment", widgets.Textarea(placeholder="NAME=VALUE, one a line")
                ),
                "volumes": Field(
                    "Folders", widgets.Textarea(placeholder="./data:/data, one a line")
                ),
                "cpu": Field("CPU", widgets.Text(placeholder="cores, for example 0.5")),
                "mem": Field("Memory", widgets.Text(placeholder="512m or 2g")),
            },
            "Start",
            on_send,
        )
        for name in ("environment", "volumes"):
            self.fields[name].control.layout.height = "52px"

    def offer(self, tags: Sequence[str]) -> None:
        """Offer images that are there."""
        control = self.fields["image"].control
        if tuple(control.options) != tuple(tags):
            control.options = tuple(tags)

    def spec(self) -> dict[str, Any]:
        """Return the container that was written.

        Raises
        ------
        InvalidRequest
            Every field that can't be read.
        """
        fields = self.fields
        spec: dict[str, Any] = {"image": fields["image"].text, "name": fields["name"].text}
        problems = {name: "This is needed." for name, value in spec.items() if not value}
        readers: dict[str, Callable[[], Any]] = {
            "ports": lambda: specs.ports(fields["ports"].lines),
            "environment": lambda: specs.environment(fields["environment"].lines),
            "volumes": lambda: specs.volumes(fields["volumes"].lines),
            "command": lambda: fields["command"].text,
            "cpu": lambda: specs.cores(fields["cpu"].text),
            "mem": lambda: specs.megabytes(fields["mem"].text),
        }
        for name, read in readers.items():
            if not fields[name].text:
                continue
            try:
                spec[name] = read()
            except InvalidRequest as error:
                problems.update(error.fields)
        if problems:
            raise InvalidRequest(fields=problems)
        return spec


class PullImage(Form):
    """The name of an image."""

    def __init__(self, on_send: Callable[[], None]) -> None:
        name = widgets.Text(placeholder="nginx:latest, or registry/name:tag")
        super().__init__({"name": Field("Image", name)}, "Pull", on_send)
