"""``container …``: on the command line and, as ``%container``, in notebooks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click

from ...client import specs
from ...client.things import Thing
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Details, Done, Table, View, ago, size
from .complete import container_names, image_names
from .several import delete_each

REF = click.argument("ref", metavar="CONTAINER", shell_complete=container_names)
REFS = click.argument(
    "refs", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=container_names
)
STATUSES = ("created", "running", "paused", "restarting", "exited", "dead", "lost")

COLUMNS = [
    Column("NAME", lambda c: c["name"]),
    Column("STATUS", lambda c: c["status"]),
    Column("IMAGE", lambda c: c["image"]),
    Column("PORTS", lambda c: published(c.get("ports") or {})),
    Column("CREATED", lambda c: ago(c.get("created_at"))),
    Column("ID", lambda c: str(c["id"])[:12]),
]
OWNER = Column("OWNER", lambda c: c.get("owner"))
STATS_COLUMNS = [
    Column("NAME", lambda s: s["name"]),
    Column("CPU %", lambda s: _percent(s.get("cpu_usage")), right=True),
    Column("MEMORY", lambda s: f"{size(s.get('memory_usage'))} / {size(s.get('memory_limit'))}"),
    Column("NETWORK IN / OUT", lambda s: _pair(s.get("network"), "rx_bytes", "tx_bytes")),
    Column("DISK READ / WRITTEN", lambda s: _pair(s.get("block"), "read_bytes", "write_bytes")),
    Column("PROCESSES", lambda s: s.get("pids"), right=True),
]
NONE = "No containers yet. Start one with `container run IMAGE`."


@click.group(cls=Group)
def container() -> None:
    """Make, use and delete containers."""


@container.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those in this state.")
@pass_session
def list_containers(session: Session, status: str | None) -> View:
    """List your containers."""
    found = session.client.containers.list(status=status)
    empty = f"No container is {status}." if status else NONE
    return listing(found, empty, found.total)


@container.command("show")
@REF
@pass_session
def show_container(session: Session, ref: str) -> View:
    """Show all of a container."""
    found = session.client.containers.get(ref)
    config, state = found.get("config") or {}, found.get("state") or {}
    return Details(
        found,
        [
            ("name", found.get("name")),
            ("id", found.get("id")),
            ("cid", found.get("cid")),
            ("status", found.get("status")),
            ("health", found.get("health")),
            ("exit code", state.get("exit_code") if found.get("status") == "exited" else None),
            ("error", state.get("error")),
            ("image", found.get("image")),
            ("command", " ".join(map(str, config.get("command") or []))),
            ("ports", published(found.get("ports") or {})),
            ("environment", config.get("environment")),
            ("folders", [_mount(mount) for mount in found.get("mounts") or []]),
            ("CPU", found.get("cpu") or "no limit"),
            ("memory", size(found.get("memory_bytes") or None) or "no limit"),
            ("restarts", found.get("restart_policy")),
            ("created", found.get("created_at")),
            ("started", state.get("started_at")),
            ("owner", found.get("owner")),
        ],
    )


@container.command("run", context_settings={"allow_interspersed_args": False})
@click.option("--name", help="Its name; made up of the image's without one.")
@click.option(
    "-p",
    "--publish",
    multiple=True,
    metavar="[HOST:]CONTAINER",
    help="Publish a port; without HOST at any free one.",
)
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="Set a variable.")
@click.option(
    "-v", "--volume", multiple=True, metavar="HOST:CONTAINER[:ro]", help="Mount a folder."
)
@click.option("--cpu", metavar="CORES", help="Limit of CPU, 0.5 or 2.")
@click.option("--mem", metavar="SIZE", help="Limit of memory, 512m or 2g.")
@click.argument("image", shell_complete=image_names)
@click.argument("command", nargs=-1)
@pass_session
def run_container(
    session: Session, /, image: str, command: tuple[str, ...], **options: Any
) -> View:
    """Make a container of IMAGE and start it, pulling the image where it is missing.

    Options stand before IMAGE; what follows it is the command that runs inside.
    """
    words = list(command[1:] if command[:1] == ("--",) else command)
    if words and words[0].startswith("-") and command[0] != "--":
        raise click.UsageError(
            f"{words[0]} stands after the image, where the container's command begins. "
            "Put options before the image, or `--` before such a command."
        )
    name = options["name"] or _made_up(image)
    spec: dict[str, Any] = {
        "name": name,
        "image": image,
        "ports": specs.ports(options["publish"]),
        "environment": specs.environment(options["env"], session.environ),
        "volumes": specs.volumes(options["volume"]),
    }
    if words:
        spec["command"] = words
    if options["cpu"]:
        spec["cpu"] = specs.cores(options["cpu"])
    if options["mem"]:
        spec["mem"] = specs.megabytes(options["mem"])
    with session.progress(f"Starting {name}") as progress:
        made = session.client.containers.create(spec, progress=progress)
    where = published(made.get("ports") or {})
    return Done(f"{made.name} is {made.status}{f' ({where})' if where else ''}.", made, made.name)


@container.command("start")
@REFS
@pass_session
def start_containers(session: Session, refs: tuple[str, ...]) -> View:
    """Start containers."""
    with session.progress("Starting") as progress:
        return _changed(session.client.containers.start(ref, progress=progress) for ref in refs)


@container.command("stop")
@click.option("-t", "--timeout", type=click.FloatRange(0), help="Seconds until it is killed.")
@REFS
@pass_session
def stop_containers(session: Session, refs: tuple[str, ...], timeout: float | None) -> View:
    """Stop containers."""
    return _changed(session.client.containers.stop(ref, timeout=timeout) for ref in refs)


@container.command("restart")
@REFS
@pass_session
def restart_containers(session: Session, refs: tuple[str, ...]) -> View:
    """Stop and start containers."""
    with session.progress("Restarting") as progress:
        return _changed(session.client.containers.restart(ref, progress=progress) for ref in refs)


@container.command("rm")
@click.option("-f", "--force", is_flag=True, help="Kill it where it runs, instead of stopping it.")
@click.option("--volumes", is_flag=True, help="Delete its anonymous volumes too.")
@REFS
@pass_session
def remove_containers(session: Session, refs: tuple[str, ...], force: bool, volumes: bool) -> View:
    """Delete containers; one that runs is stopped first."""
    return delete_each(
        session,
        refs,
        lambda ref: session.client.containers.delete(
            ref, force=force or None, volumes=volumes or None
        ),
    )


@container.command("logs")
@click.option("-n", "--tail", type=click.IntRange(0), help="Only the last lines.  [100]")
@click.option("--since", metavar="WHEN", help="From then on: 10m ago, or a time.")
@click.option("--until", metavar="WHEN", help="Up to then.")
@click.option("-t", "--timestamps", is_flag=True, help="Say when each line was printed.")
@click.option("-f", "--follow", is_flag=True, help="Go on while it prints.")
@REF
@pass_session
def show_logs(session: Session, /, ref: str, follow: bool, **options: Any) -> None:
    """Print what a container has printed."""
    options["timestamps"] = options["timestamps"] or None
    for name in ("since", "until"):
        options[name] = specs.moment(options[name]) if options[name] else None
    if not follow:
        session.console.write(session.client.containers.logs(ref, **options))
        return
    for output in session.client.containers.logs(ref, follow=True, **options):
        session.console.write(output.text, output.stream)


@container.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("-t", "--tty", is_flag=True, help="With a terminal, as for a shell.")
@click.option("-i", "--interactive", is_flag=True, help="Pass on standard input.")
@REF
@click.argument("command", nargs=-1, required=True)
@pass_session
def execute(
    session: Session, ref: str, command: tuple[str, ...], tty: bool, interactive: bool
) -> None:
    """Run COMMAND in a container; ends with the command's exit code."""
    words = list(command[1:] if command[0] == "--" else command)
    if tty and session.console.interactive:
        from ..terminal import attach

        session.exit_code = attach(session.client, ref, words)
        return
    if interactive:
        from ..terminal import pipe

        session.exit_code = pipe(session.client, session.console, ref, words)
        return
    with session.client.containers.exec(ref, words, tty=tty) as run:
        for output in run:
            session.console.write(output.text, output.stream)
    session.exit_code = run.exit_code or 0


@container.command("stats")
@click.option("-w", "--watch", is_flag=True, help="Go on until interrupted.")
@click.argument("refs", metavar="[CONTAINER]...", nargs=-1, shell_complete=container_names)
@pass_session
def show_stats(session: Session, refs: tuple[str, ...], watch: bool) -> View | None:
    """Show what containers use; without a name all that run."""
    if not watch:
        return _stats(session, refs)
    while True:
        session.show(_stats(session, refs))
        time.sleep(2)


def listing(found: Sequence[Thing], empty: str = NONE, total: int | None = None) -> Table:
    """Return containers as a table, with their owners where it shows several people's."""
    several = len({c.get("owner") for c in found}) > 1
    return Table([*COLUMNS, OWNER] if several else COLUMNS, found, empty, total=total)


def _stats(session: Session, refs: Iterable[str]) -> Table:
    client = session.client
    found = [client.containers.get(ref) for ref in refs] or client.containers.list("running")
    rows = [Thing({"name": c.name, **client.containers.metrics(c.id)}) for c in found]
    return Table(STATS_COLUMNS, rows, "No container runs.")


def _changed(containers: Iterable[Thing]) -> Done:
    done = list(containers)
    text = "\n".join(f"{c.name} is {c.status}." for c in done)
    return Done(text, done, "\n".join(c.name for c in done))


def published(ports: dict[str, int | None]) -> str:
    """Return ports as ``8080→80/tcp``."""
    shown = [f"{host}→{inside}" if host else inside for inside, host in ports.items()]
    return ", ".join(text.removesuffix("/tcp") for text in shown)


def _mount(mount: Thing) -> str:
    mode = ":ro" if mount.get("read_only") else ""
    return f"{mount.get('host_path')}:{mount.get('container_path')}{mode}"


def _made_up(image: str) -> str:
    short = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return f"{short}-{secrets.token_hex(2)}"


def _percent(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else ""


def _pair(value: Any, first: str, second: str) -> str:
    found = value or {}
    return f"{size(found.get(first))} / {size(found.get(second))}"
