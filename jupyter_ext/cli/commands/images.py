"""``image …``."""

from __future__ import annotations

from collections.abc import Callable

import click

from ...client.things import Thing
from ...errors import PlatformError
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, ago, size
from .complete import image_names, user_names
from .several import delete_each

COLUMNS = [
    Column("NAME", lambda i: ", ".join(i.get("tags") or ["<none>"])),
    Column("SIZE", lambda i: size(i.get("size")), right=True),
    Column("CREATED", lambda i: ago(i.get("created_at"))),
    Column("OWNER", lambda i: "everybody" if i.get("public") else i.get("owner")),
    Column("SHARED WITH", lambda i: ", ".join(i.get("shared_with") or [])),
    Column("ID", lambda i: str(i["id"]).removeprefix("sha256:")[:12]),
]


@click.group(cls=Group)
def image() -> None:
    """List, pull, build, share and delete images."""


@image.command("list")
@pass_session
def list_images(session: Session) -> View:
    """List the images that you can use."""
    found = session.client.images.list()
    empty = "No images yet. Get one with `image pull NAME`."
    return Table(COLUMNS, found, empty, total=found.total)


@image.command("pull")
@click.argument("name", metavar="NAME[:TAG]", shell_complete=image_names)
@pass_session
def pull_image(session: Session, name: str) -> View:
    """Pull an image from its registry."""
    with session.progress(f"Pulling {name}") as progress:
        pulled = session.client.images.pull(name, progress=progress)
    tags = ", ".join(pulled.get("tags") or [name])
    return Done(f"Pulled {tags} ({size(pulled.get('size'))}).", pulled, tags)


@image.command("build")
@click.option("--base", metavar="IMAGE", help="What it is built on: an image of Debian's family.")
@click.option("--cuda", is_flag=True, help="Build it on the server's CUDA base.")
@click.option("--fresh", is_flag=True, help="Do every step again, for the newest packages.")
@click.argument("name", type=click.Choice(["notebook"]))
@pass_session
def build_image(session: Session, name: str, base: str | None, cuda: bool, fresh: bool) -> View:
    """Build the image with ssh, JupyterLab and TensorBoard, which is number 1 and everybody's."""
    with session.progress(f"Building {name}") as progress:
        built = session.client.images.build(
            name, base=base, cuda=cuda or None, fresh=fresh or None, progress=progress
        )
    tags = ", ".join(built.get("tags") or [name])
    return Done(f"Built {tags} ({size(built.get('size'))}).", built, tags)


@image.command("rm")
@click.option("-f", "--force", is_flag=True, help="Even where it has several names.")
@click.argument("names", metavar="IMAGE...", nargs=-1, required=True, shell_complete=image_names)
@pass_session
def remove_images(session: Session, names: tuple[str, ...], force: bool) -> View:
    """Delete images by name or id."""
    return delete_each(
        session, names, lambda name: session.client.images.delete(name, force=force or None)
    )


@image.command("share")
@click.argument("ref", metavar="IMAGE", shell_complete=image_names)
@click.argument("users", metavar="USER...", nargs=-1, required=True, shell_complete=user_names)
@pass_session
def share_image(session: Session, ref: str, users: tuple[str, ...]) -> View:
    """Let users see a private image of yours and run it; it stays yours."""
    return _each(session, "Shared with", users, lambda user: session.client.images.share(ref, user))


@image.command("unshare")
@click.argument("ref", metavar="IMAGE", shell_complete=image_names)
@click.argument("users", metavar="USER...", nargs=-1, required=True, shell_complete=user_names)
@pass_session
def unshare_image(session: Session, ref: str, users: tuple[str, ...]) -> View:
    """Take an image back from users; what they started of it goes on."""
    return _each(
        session, "Taken back from", users, lambda user: session.client.images.unshare(ref, user)
    )


def _each(session: Session, what: str, users: tuple[str, ...], act: Callable[[str], Thing]) -> View:
    """Do something for one user after the other; a name that is wrong stops no other.

    Raises
    ------
    PlatformError
        The last one that failed, after all that was done and what else failed has been shown.
    """
    done: list[str] = []
    failed: list[PlatformError] = []
    image = Thing({})
    for user in users:
        try:
            image = act(user)
        except PlatformError as error:
            failed.append(error)
        else:
            done.append(user)
    with_whom = ", ".join(image.get("shared_with") or []) or "nobody"
    told = Done(f"{what} {', '.join(done)}. It is shared with {with_whom}.", image, "\n".join(done))
    if not failed:
        return told
    if done:
        session.show(told)
    for one in failed[:-1]:
        session.fail(one)
    raise failed[-1]
