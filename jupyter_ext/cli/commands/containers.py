"""``container …``: on the command line and, as ``%container``, in notebooks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import Any

import click

from ...client import specs
from ...client.things import Thing
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Details, Done, Table, View, size
from .complete import container_names, device_names, image_names
from .container_views import NONE, address, details, listing, measured, published
from .several import delete_each

REF = click.argument("ref", metavar="CONTAINER", shell_complete=container_names)
REFS = click.argument(
    "refs", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=container_names
)
STATUSES = ("created", "running", "paused", "restarting", "exited", "dead", "lost")


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
    return details(session.client.containers.get(ref))


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
@click.option("--gpu", metavar="GPU", help="auto, or numbers of GPUs: 2, or 1,3.")
@click.option("--gpus", type=click.IntRange(1), metavar="N", help="So many, whichever are free.")
@click.option("--gpu-model", metavar="MODEL", help="Only such ones: A100.")
@click.option("--gpu-mem", metavar="SIZE", help="Only ones with so much memory: 24g.")
@click.option("--wait", is_flag=True, help="Wait in the queue where none is free.")
@click.option(
    "--connect",
    is_flag=True,
    help="With ports and a password for ssh, JupyterLab and TensorBoard.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    help="On this host, by its number or name; chosen without one.",
    shell_complete=device_names,
)
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
    if options["connect"]:
        spec["connect"] = True
    spec |= _gpus(options)
    if options["device"]:
        spec["device"] = _device(session, options["device"])
    with session.progress(f"Starting {name}") as progress:
        made = session.client.containers.create(spec, progress=progress)
    where = published(made.get("ports") or {})
    return Done(f"{made.name} is {made.status}{f' ({where})' if where else ''}.", made, made.name)


def _device(session: Session, ref: str) -> int:
    """Return a device's number; a name is asked for."""
    if ref.isascii() and ref.isdecimal():
        return int(ref)
    return int(session.client.devices.get(ref)["did"])


def _gpus(options: dict[str, Any]) -> dict[str, Any]:
    """What the options say of GPUs, in the request's words."""
    asked: dict[str, Any] = {}
    if options["gpu"] and options["gpus"]:
        raise click.UsageError("Give --gpu or --gpus: which ones, or how many.")
    if options["gpu"]:
        asked["gid"] = specs.gpus(options["gpu"])
    if options["gpus"]:
        asked["count"] = options["gpus"]
    if options["gpu_model"]:
        asked["gpu_model"] = options["gpu_model"]
    if options["gpu_mem"]:
        asked["gpu_memory"] = specs.megabytes(options["gpu_mem"])
    if (options["gpu_model"] or options["gpu_mem"]) and not options["gpu"]:
        asked.setdefault("count", 1)
    if options["wait"]:
        asked["wait"] = True
    return asked


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


@container.command("keep")
@click.option(
    "-m", "--minutes", type=click.IntRange(1), help="So long, as far as your rules allow."
)
@REFS
@pass_session
def keep_containers(session: Session, refs: tuple[str, ...], minutes: int | None) -> View:
    """Keep containers running that are idle."""
    done = [session.client.containers.keep(ref, minutes=minutes) for ref in refs]
    text = "\n".join(f"{c.name} is kept until {c.idle.kept_until}." for c in done)
    return Done(text, done, "\n".join(c.name for c in done))


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


@container.command("open")
@click.option(
    "--service",
    type=click.Choice(("jupyter", "tensorboard")),
    default="jupyter",
    show_default=True,
    help="Which of its pages.",
)
@click.option("--no-browser", is_flag=True, help="Print the link only.")
@REF
@pass_session
def open_page(session: Session, ref: str, service: str, no_browser: bool) -> View:
    """Open a container's web page in the browser, without a password.

    The link works once, and within a minute.
    """
    link = session.client.containers.open(ref, service)
    if session.console.interactive and not (no_browser or session.json or session.quiet):
        import webbrowser

        if webbrowser.open(link.url, new=2):
            return Done(f"{ref} is open in the browser; if not, at {link.url}", link, link.url)
    return Done(f"Open within a minute, once:\n{link.url}", link, link.url)


@container.command("connection")
@click.option("--password", is_flag=True, help="Show the password, too.")
@REF
@pass_session
def show_connection(session: Session, ref: str, password: bool) -> View:
    """Show how to get into a container that was made with --connect."""
    found = session.client.containers.connection(ref, password=password or None)
    ports = {name: port for name, port in found["ports"].items() if port}
    if not ports:
        raise click.UsageError(f"{ref} has none of these ports. Make one with `run --connect`.")
    hidden = "hidden: --password shows it" if found["has_password"] else "none"
    ssh, host = ports.get("ssh"), found["ip"]
    return Details(
        found,
        [
            ("ssh", ssh and f"ssh -p {ssh} {found['user']}@{host}"),
            ("JupyterLab", address(host, ports.get("jupyter"))),
            ("TensorBoard", address(host, ports.get("tensorboard"))),
            ("password", found.get("password") or hidden),
        ],
    )


@container.command("save")
@click.option("--public", is_flag=True, help="For everybody, not for you alone.")
@REF
@click.argument("image", metavar="IMAGE")
@pass_session
def save_container(session: Session, ref: str, image: str, public: bool) -> View:
    """Save a container, with all that was installed in it, as IMAGE.

    What its environment was given is not kept.
    """
    with session.progress(f"Saving {ref}") as progress:
        saved = session.client.containers.save(ref, image, public=public or None, progress=progress)
    name = ", ".join(saved.get("tags") or [image])
    whose = "for everybody" if saved.get("public") else "private"
    return Done(f"Saved as {name} ({size(saved.get('size'))}), {whose}.", saved, name)


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


def _stats(session: Session, refs: Iterable[str]) -> Table:
    client = session.client
    found = [client.containers.get(ref) for ref in refs] or client.containers.list("running")
    rows = [Thing({"name": c.name, **client.containers.metrics(c.id)}) for c in found]
    return measured(rows)


def _changed(containers: Iterable[Thing]) -> Done:
    done = list(containers)
    text = "\n".join(f"{c.name} is {c.status}." for c in done)
    return Done(text, done, "\n".join(c.name for c in done))


def _made_up(image: str) -> str:
    short = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return f"{short}-{secrets.token_hex(2)}"
