"""``device …``: hosts with an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from ...client import specs
from ...client.things import Thing
from ...errors import Conflict
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Details, Done, Table, View, ago, clean, size
from .complete import device_names

REF = click.argument("ref", metavar="DEVICE", shell_complete=device_names)
GPUS = click.option(
    "--gpu",
    "gpus",
    multiple=True,
    metavar="UUID:MODEL:MB",
    help="A GPU that it has, instead of looking for them; repeatable.",
)
BIND_ADDRESS = click.option(
    "--bind-address", metavar="IP", help="What ports of its containers are bound to."
)

HOST_KEY = click.option(
    "--host-key",
    metavar="SHA256:…",
    help="Of ssh, the fingerprint that the host's key must have; without it that is shown.",
)
CERTIFICATES = click.option(
    "--certificates",
    metavar="FOLDER",
    help="Of tcp, a folder of the server's machine with ca.pem, cert.pem and key.pem.",
)

PATIENCE = 600.0
"""Seconds: a host may have to pull the image that looks for its GPUs first."""

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def _whole(folder: str | None) -> str | None:
    return str(Path(folder).expanduser().absolute()) if folder else None


def _share(used: object, total: object) -> str:
    return f"{used:g} / {total:g}" if isinstance(used, float) and isinstance(total, float) else ""


COLUMNS = [
    Column("DID", lambda d: d["did"], right=True),
    Column("NAME", lambda d: d["name"]),
    Column("STATE", lambda d: d["state"]),
    Column("SINCE", lambda d: ago(d.get("since"))),
    Column("CPU", lambda d: _share(float(d["used_cpu"]), float(d["total_cpu"]))),
    Column("MEMORY", lambda d: f"{size(d['used_memory'])} / {size(d['total_memory'])}"),
    Column("GPUS", lambda d: f"{len(d['used_gpus'])} / {len(d['gpus'])}"),
    Column("CONTAINERS", lambda d: d["containers"], right=True),
]


@click.group(cls=Group)
def device() -> None:
    """See hosts with an engine; administrators add, drain and remove them."""


@device.command("list")
@pass_session
def list_devices(session: Session) -> View:
    """List the devices and what is taken of each."""
    return Table(COLUMNS, session.client.devices.list(), name=1)


@device.command("show")
@REF
@pass_session
def show_device(session: Session, ref: str) -> View:
    """Show all of a device, by its number or name."""
    return _details(session.client.devices.get(ref))


@device.command("add")
@HOST_KEY
@CERTIFICATES
@BIND_ADDRESS
@GPUS
@click.option("--no-gpus", is_flag=True, help="It has none: don't look for them.")
@click.argument("name")
@click.argument("address")
@pass_session
def add_device(
    session: Session,
    name: str,
    address: str,
    host_key: str | None,
    certificates: str | None,
    bind_address: str | None,
    gpus: tuple[str, ...],
    no_gpus: bool,
) -> View:
    """Add a host: ADDRESS is ssh://user@host or tcp://host:port."""
    fields: dict[str, Any] = {
        # Of the server's machine; one that is not whole can only be meant from here.
        "certificates": _whole(certificates),
        "bind_address": bind_address,
        "gpus": _declared(gpus, no_gpus),
    }
    session.timeout = max(session.timeout, PATIENCE)
    devices = session.client.devices
    try:
        added = devices.add(name, address, host_key=host_key, **fields)
    except Conflict as conflict:
        problems = {**conflict.details, **conflict.fields}
        shown = FINGERPRINT.search(str(problems.get("host_key")))
        if host_key or shown is None:
            raise
        _trust(session, conflict, shown[0])
        added = devices.add(name, address, host_key=shown[0], **fields)
    return Done(f"Added {added['name']} as device {added['did']}.", added, added["name"])


@device.command("set")
@click.option("--name", "new_name", metavar="NAME", help="Give it another name.")
@click.option("--address", help="Where its engine is now: ssh://user@host or tcp://host:port.")
@HOST_KEY
@CERTIFICATES
@BIND_ADDRESS
@GPUS
@click.option("--no-gpus", is_flag=True, help="It has none any more.")
@REF
@pass_session
def set_device(
    session: Session,
    ref: str,
    new_name: str | None,
    address: str | None,
    host_key: str | None,
    certificates: str | None,
    bind_address: str | None,
    gpus: tuple[str, ...],
    no_gpus: bool,
) -> View:
    """Change a device's name, where its engine is, the address of its ports, or its GPUs."""
    fields: dict[str, Any] = {
        "name": new_name,
        "address": address,
        "host_key": host_key,
        "certificates": _whole(certificates),
        "bind_address": bind_address,
        "gpus": _declared(gpus, no_gpus),
    }
    if all(value is None for value in fields.values()):
        raise click.UsageError(
            "Say what to change: --name, --address, --bind-address, --gpu or --no-gpus."
        )
    changed = session.client.devices.set(ref, **fields)
    return Done(f"Changed {changed['name']}.", changed, changed["name"])


@device.command("drain")
@REF
@pass_session
def drain_device(session: Session, ref: str) -> View:
    """Place nothing new on a device; what runs there runs on."""
    changed = session.client.devices.set(ref, draining=True)
    text = f"{changed['name']} takes nothing new; {_containers(changed)} left on it."
    return Done(text, changed, changed["name"])


@device.command("resume")
@REF
@pass_session
def resume_device(session: Session, ref: str) -> View:
    """Place containers on a drained device again."""
    changed = session.client.devices.set(ref, draining=False)
    return Done(f"{changed['name']} is {changed['state']}.", changed, changed["name"])


@device.command("gpus")
@REF
@pass_session
def find_gpus(session: Session, ref: str) -> View:
    """Look again which GPUs a device has."""
    session.timeout = max(session.timeout, PATIENCE)
    changed = session.client.devices.find_gpus(ref)
    numbers = ", ".join(map(str, changed["gpus"])) or "none"
    return Done(f"GPUs of {changed['name']}: {numbers}.", changed, changed["name"])


@device.command("remove")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option("-f", "--force", is_flag=True, help="Also where containers are left on it.")
@REF
@pass_session
def remove_device(session: Session, ref: str, yes: bool, force: bool) -> View:
    """Remove a device; containers that are left on it run on there, and are forgotten here."""
    if not yes:
        found = session.client.devices.get(ref)
        if found["containers"] and (force or session.console.interactive):
            _confirm_loss(session, found)
            force = True
    gone = session.client.devices.remove(ref, force=force or None)
    return Done(f"Removed {gone['name']}.", gone, gone["name"])


def _trust(session: Session, conflict: Conflict, fingerprint: str) -> None:
    """Ask whether a host's key is the right one.

    Raises
    ------
    Conflict
        Nobody is there to be asked.
    """
    if not session.console.interactive:
        session.say(f"To trust it: --host-key {fingerprint}")
        raise conflict
    click.echo(clean(conflict.message), err=True)
    click.confirm("Trust it?", abort=True, err=True)


def _confirm_loss(session: Session, found: Thing) -> None:
    if not session.console.interactive:
        raise click.UsageError("Nobody is there to be asked: add --yes.")
    question = f"Forget {_containers(found)} on {clean(found['name'])}?"
    click.confirm(question, abort=True, err=True)


def _declared(gpus: tuple[str, ...], no_gpus: bool) -> list[dict[str, Any]] | None:
    if gpus and no_gpus:
        raise click.UsageError("--gpu and --no-gpus exclude each other.")
    return specs.declared_gpus(gpus) if gpus or no_gpus else None


def _containers(found: Thing) -> str:
    number = found["containers"]
    return f"{number} container{'' if number == 1 else 's'}"


def _details(found: Thing) -> Details:
    return Details(
        found,
        [
            ("did", found["did"]),
            ("name", found["name"]),
            ("state", found["state"]),
            ("since", found.get("since")),
            ("problem", found.get("problem")),
            ("address", found.get("address")),
            ("ports are bound to", found["bind_address"]),
            ("processor", found["cpu_name"]),
            ("CPU", _share(float(found["used_cpu"]), float(found["total_cpu"]))),
            ("memory", f"{size(found['used_memory'])} / {size(found['total_memory'])}"),
            ("GPUs", found["gpus"]),
            ("GPUs taken", found["used_gpus"]),
            ("containers", found["containers"]),
        ],
    )
