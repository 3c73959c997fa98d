"""``gpu …``: on the command line and, as ``%gpu``, in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ...client.things import Thing
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Details, Table, View, ago, size

NONE = "This machine has no GPUs that the server knows of."


def _used(gpu: Any) -> str:
    used = gpu.get("memory_used")
    return f"{size(used) if used is not None else '-'} / {size(gpu['memory'])}"


def _busy(gpu: Any) -> str | None:
    percent = gpu.get("utilization")
    return None if percent is None else f"{percent} %"


def holder(found: Any) -> str:
    """Return who has a GPU; of others' only administrators read whose."""
    if not found.get("container"):
        return "somebody"
    return f"{found['username']}.{found['container']}"


def state_of(gpu: Any) -> str:
    """Return whether somebody could have it."""
    if not gpu["present"]:
        return "gone"
    if gpu["mode"] == "shared":
        return f"{gpu['free']} of {gpu['slots']} places free"
    return "free" if gpu["free"] else "taken"


COLUMNS = [
    Column("GID", lambda g: g["gid"], right=True),
    Column("MODEL", lambda g: g["model"]),
    Column("STATE", state_of),
    Column("BUSY", _busy, right=True),
    Column("MEMORY", _used),
    Column("HELD BY", lambda g: ", ".join(map(holder, g["holders"]))),
]
HOLDER_COLUMNS = [
    Column("GID", lambda h: h["gid"], right=True),
    Column("HELD BY", holder),
    Column("SINCE", lambda h: ago(h["since"])),
]


@click.group(cls=Group)
def gpu() -> None:
    """See GPUs, who has them, and who waits."""


@gpu.command("list")
@pass_session
def list_gpus(session: Session) -> View:
    """List the GPUs."""
    return listing(session.client.gpus.list())


def listing(found: Sequence[Thing]) -> Table:
    """Return GPUs as a table."""
    return Table(COLUMNS, found, NONE)


@gpu.command("show")
@click.argument("gid", type=click.IntRange(1))
@pass_session
def show_gpu(session: Session, gid: int) -> View:
    """Show all of a GPU."""
    found = session.client.gpus.get(gid)
    return Details(
        found,
        [
            ("gid", found["gid"]),
            ("model", found["model"]),
            ("uuid", found["uuid"]),
            ("slice of", found.get("parent")),
            ("device", found["device"]),
            ("state", state_of(found)),
            ("held by", [f"{holder(h)}, {ago(h['since'])}" for h in found["holders"]]),
            ("busy", _busy(found)),
            ("memory", _used(found)),
            ("temperature", f"{found['temperature']} °C" if found.get("temperature") else None),
            ("power", f"{found['power']:.0f} W" if found.get("power") else None),
        ],
    )


@gpu.command("who")
@pass_session
def who_has_gpus(session: Session) -> View:
    """Show who has which GPU since when; of others' only administrators read whose."""
    held = [
        Thing({"gid": each["gid"], **holder})
        for each in session.client.gpus.list()
        for holder in each["holders"]
    ]
    return Table(HOLDER_COLUMNS, held, "All GPUs are free.")


@gpu.command("queue")
@pass_session
def show_queue(session: Session) -> View:
    """Show how many wait for GPUs, and your own places."""
    me = session.client.users.me()["id"]
    waiting = [
        operation
        for operation in session.client.operations.list(state="running", limit=1000)
        if "place" in (operation.get("details") or {}) and operation["owner"] == me
    ]
    columns = [
        Column("PLACE", lambda o: o["details"]["place"], right=True),
        Column("CONTAINER", lambda o: o["subject"]),
        Column("EXPECTED", lambda o: _expected(o["details"].get("estimate_seconds"))),
        Column("ID", lambda o: o["id"]),
    ]
    number = session.client.gpus.waiting()
    return Table(columns, waiting, f"Nothing of yours waits; {number} wait in all.")


def _expected(seconds: int | None) -> str:
    if seconds is None:
        return "unknown"
    return f"in about {max(1, round(seconds / 60))} min"
