"""``image …``."""

from __future__ import annotations

import click

from ..lazy import Group
from ..session import Session, pass_session
from ..views import Column, Done, Table, View, ago, size
from .complete import image_names
from .several import delete_each

COLUMNS = [
    Column("NAME", lambda i: ", ".join(i.get("tags") or ["<none>"])),
    Column("SIZE", lambda i: size(i.get("size")), right=True),
    Column("CREATED", lambda i: ago(i.get("created_at"))),
    Column("OWNER", lambda i: "everybody" if i.get("public") else i.get("owner")),
    Column("ID", lambda i: str(i["id"]).removeprefix("sha256:")[:12]),
]


@click.group(cls=Group)
def image() -> None:
    """List, pull and delete images."""


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


@image.command("rm")
@click.option("-f", "--force", is_flag=True, help="Even where it has several names.")
@click.argument("names", metavar="IMAGE...", nargs=-1, required=True, shell_complete=image_names)
@pass_session
def remove_images(session: Session, names: tuple[str, ...], force: bool) -> View:
    """Delete images by name or id."""
    return delete_each(
        session, names, lambda name: session.client.images.delete(name, force=force or None)
    )
