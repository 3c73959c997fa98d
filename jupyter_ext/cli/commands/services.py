"""``start``, ``stop``, ``restart`` and ``logs`` of services."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click

from ...client.things import Thing
from ...errors import Conflict, PlatformError, Unavailable
from ..lazy import Command
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, clean, duration, size
from .complete import service_names

OWN = "jupyter"
"""The server that answers; it comes last where all are asked for."""

DATABASES = "postgres"

ENDS = {
    DATABASES: "everybody's sessions in databases end",
    OWN: "this server goes with its kernels, and what is not saved in them",
}
"""What else ends with a service, in the order of the question."""

PATIENCE = 180.0
COMES_BACK = 120.0
"""Seconds."""

COLUMNS = [
    Column("SERVICE", lambda s: s["name"]),
    Column("STATUS", lambda s: s["status"]),
    Column("PORT", lambda s: s.get("port"), right=True),
    Column("PID", lambda s: s.get("pid"), right=True),
    Column("UP FOR", lambda s: duration(s.get("uptime"))),
    Column("MEMORY", lambda s: size(s.get("memory_bytes")), right=True),
]
SERVICE = click.argument("service", required=False, shell_complete=service_names)


def table(session: Session) -> View:
    """Return the services and how they are."""
    return Table(COLUMNS, session.client.services.list(), "No services.")


@click.command(cls=Command)
@SERVICE
@pass_session
def start(session: Session, service: str | None) -> View:
    """Start a service, or all that are installed."""
    return _each(session, "start", "Started", _asked(session, service, ("stopped", "failed")))


@click.command(cls=Command)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@SERVICE
@pass_session
def stop(session: Session, service: str | None, yes: bool) -> View:
    """Stop a service, or all: the server itself last, with its kernels."""
    if (left := _left(session, service, yes)) is not None:
        return left
    asked = _asked(session, service, ("running", "starting", "failed"))
    _confirm(session, "Stop", asked, yes)
    return _each(session, "stop", "Stopped", asked)


@click.command(cls=Command)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@SERVICE
@pass_session
def restart(session: Session, service: str | None, yes: bool) -> View:
    """Restart a service, or all that run: the server itself last, without its kernels."""
    asked = _asked(session, service, ("running", "failed"))
    _confirm(session, "Restart", asked, yes)
    return _each(session, "restart", "Restarted", asked)


@click.command(cls=Command)
@click.option("-n", "--tail", type=click.IntRange(1, 2000), default=100, show_default=True)
@click.option("--since", help="Lines of this moment and later (RFC 3339), or of 10m, 2h, 1d ago.")
@SERVICE
@pass_session
def logs(session: Session, service: str | None, tail: int, since: str | None) -> View:
    """Show the end of a service's log, or of all."""
    moment = _moment(since)
    names = [service] if service else [each["name"] for each in session.client.services.list()]
    told: dict[str, list[str]] = {}
    for name in names:
        try:
            told[name] = session.client.services.logs(name, tail=tail, since=moment)
        except (Conflict, Unavailable) as error:
            if service:
                raise
            told[name] = [error.message]
    several = len(told) > 1
    shown = [
        f"{name:10} {clean(line)}" if several else clean(line)
        for name, lines in told.items()
        for line in lines
    ]
    text = "\n".join(shown)
    return Done(text, told if several else told[names[0]], text)


def _asked(session: Session, service: str | None, states: Sequence[str]) -> list[str]:
    if service:
        return [service]
    found = [
        each["name"]
        for each in session.client.services.list()
        # What systemd runs is named by whoever means it.
        if each["status"] in states and each["actions"] and each["kind"] != "systemd"
    ]
    return sorted(found, key=lambda name: name == OWN)


def _left(session: Session, service: str | None, yes: bool) -> View | None:
    """Without a server, stop what outlived it; None where there is a server."""
    try:
        _ = session.client
    except Unavailable:
        from ...client.discovery import default_home
        from ...postgres import alone
        from ...services.child import end_left

        named = session.environ.get("PIG_HOME")
        home = Path(named).expanduser() if named else default_home(session.environ)
        databases = service in (None, DATABASES) and alone.runs(home)
        if databases:
            _confirm(session, "Stop", [DATABASES], yes)
        ended = end_left(home, service, wanted=False)
        if databases and alone.stop(home):
            ended.append(DATABASES)
        if not ended:
            raise
        text = f"Stopped {', '.join(ended)}, which went on without a server."
        return Done(text, [Thing({"name": name, "status": "stopped"}) for name in ended])
    return None


def _confirm(session: Session, verb: str, names: Sequence[str], yes: bool) -> None:
    ends = [words for name, words in ENDS.items() if name in names]
    if yes or not ends:
        return
    if not session.console.interactive:
        raise click.UsageError("Nobody is there to be asked: add --yes.")
    which = ", ".join(map(clean, names))
    click.confirm(f"{verb} {which}? Then {', and '.join(ends)}.", abort=True, err=True)


def _each(session: Session, verb: str, done: str, names: Sequence[str]) -> View:
    session.timeout = max(session.timeout, PATIENCE)
    acted: list[Thing] = []
    for name in names:
        before = time.monotonic()
        found = getattr(session.client.services, verb)(name)
        if name == OWN and verb == "restart":
            found = _awaited(session, found, before)
        acted.append(found)
        session.say(f"{done} {clean(name)}.")
    if not acted:
        return Done(f"There is nothing to {verb}.", [])
    return Table(COLUMNS, acted)


def _awaited(session: Session, answered: Thing, before: float) -> Thing:
    """Wait until the server is back; a lower uptime than it had is another run of it."""
    asked_at = answered.get("uptime") or 0
    while time.monotonic() - before < COMES_BACK:
        time.sleep(0.3)
        try:
            found = next(each for each in session.client.services.list() if each["name"] == OWN)
        except PlatformError:
            continue
        if found["status"] == "running" and found["uptime"] <= asked_at:
            return found
    raise Unavailable("The server does not come back.", "Its terminal or its log says why.")


def _moment(text: str | None) -> datetime | timedelta | None:
    if text is None:
        return None
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    if text[:-1].isdecimal() and text[-1] in units and len(text) < 10:
        return timedelta(**{units[text[-1]]: int(text[:-1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "write 2026-01-31T08:00:00Z, or 10m, 2h, 1d.", param_hint="--since"
        ) from None
    return moment if moment.tzinfo else moment.astimezone()
