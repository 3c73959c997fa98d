"""``admin …``: the server's own store and key, on its machine and as its user, without REST."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...client.things import Thing
from ..lazy import Group
from ..session import Session, pass_session
from ..views import Done, View, clean, size

if TYPE_CHECKING:
    from ...desk.offline import Place

OPTIONS = {
    "home": ("FOLDER", "The server's home.  [PIG_HOME, or as configured]"),
    "store_url": ("URL", "The store's address, where the server got it as an option."),
    "store_key_file": ("FILE", "The key's file, where the server got it as an option."),
}


def _place_options(command: Any) -> Any:
    for name, (kind, text) in reversed(OPTIONS.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, metavar=kind, help=text)(command)
    return command


@click.group(cls=Group)
def admin() -> None:
    """Back up and restore the server's own store; renew its key.

    These work on the machine and as the user of the server itself.
    """


@admin.command("backup")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@_place_options
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_session
def back_up(session: Session, /, file: Path, force: bool, **given: str | None) -> View:
    """Write store and key into FILE; the server may run meanwhile."""
    from ...store import backups

    place = _place(session, given)
    target = file.expanduser().absolute()
    manifest = backups.back_up(place.store, target, force=force)
    session.say(
        f"{clean(target)} opens every secret of the server: keep it as safe as its key. "
        "Users' databases, files and containers are not in it."
    )
    amount = target.stat().st_size
    fact = Thing(
        {
            "file": str(target),
            "size_bytes": amount,
            "store": manifest.store,
            "database": manifest.database,
            "revision": manifest.revision,
            "version": manifest.version,
            "created_at": manifest.created_at,
        }
    )
    sentence = f"Kept the store (schema {manifest.revision}) and its key in {target}"
    return Done(f"{sentence}, {size(amount)}.", fact, str(target))


@admin.command("restore")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@_place_options
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_session
def restore(session: Session, /, file: Path, yes: bool, **given: str | None) -> View:
    """Bring store and key back from FILE; the present ones are kept in a folder."""
    from ...desk.offline import without_server
    from ...store import backups
    from ...store.offline import where

    place = _place(session, given)
    with without_server(place.home), backups.opened(file, place.home) as archive:
        backups.check_target(place.store, archive)
        manifest = archive.manifest
        there = where(place.store)
        if not yes:
            _ask(session, f"Replace the store {there} by that of {manifest.created_at}?")
        aside = backups.restore(place.store, archive, place.home)
    fact = Thing(
        {
            "store": manifest.store,
            "created_at": manifest.created_at,
            "restored_to": there,
            "kept": str(aside) if aside else None,
        }
    )
    kept = f" What was there is in {aside}." if aside else ""
    session.say("Keys and logins count as they did then: revoke anew what was revoked since.")
    sentence = f"Restored the store of {manifest.created_at} to {there}.{kept}"
    return Done(sentence, fact, str(aside or ""))


@admin.command("rotate-key")
@_place_options
@pass_session
def rotate_key(session: Session, /, **given: str | None) -> View:
    """Replace the key, and encrypt every secret of the store anew."""
    from ...desk.offline import without_server
    from ...store.offline import check_present
    from ...store.rotation import rotate

    place = _place(session, given)
    check_present(place.store)
    with (
        without_server(place.home),
        session.progress("Encrypting anew") as shown,
    ):
        done = rotate(
            place.store,
            lambda share, table: shown(Thing({"progress": share, "message": table})),
        )
    if done.unreadable:
        session.say(
            f"{done.unreadable} texts are opened by no key there is; they stay as they are."
        )
    if done.resumed and not done.retire:
        session.say("There were several keys: the first of them is the key now.")
    fact = Thing(
        {
            "key": done.key,
            "secrets": done.secrets,
            "unreadable": done.unreadable,
            "resumed": done.resumed,
            "old_key_in": done.retire,
        }
    )
    old = "The old key is gone."
    if done.retire:
        old = f"Take the old keys away from {done.retire} now."
    return Done(f"Encrypted {done.secrets} secrets anew. {old}", fact, done.key)


def _place(session: Session, given: dict[str, str | None]) -> Place:
    from ...desk.offline import find_place

    known = {name: value for name, value in given.items() if value}
    return find_place(session.settings.traits(), known, session.environ)


def _ask(session: Session, question: str) -> None:
    if not session.console.interactive:
        raise click.UsageError("Nobody is there to be asked: add --yes.")
    click.confirm(question, abort=True, err=True)
