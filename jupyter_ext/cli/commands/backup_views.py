"""How backups are shown: in a table, and what a restore would do or did."""

from __future__ import annotations

from datetime import datetime

from ...client.things import Thing
from ..views import Column, Details, Done, ago, clean, size

COLUMNS = [
    Column("ID", lambda b: b["id"]),
    Column("TYPE", lambda b: b["type"]),
    Column("SIZE", lambda b: size(b["size_bytes"]), right=True),
    Column("TAKEN", lambda b: ago(b["created_at"])),
    Column("RESTORABLE UNTIL", lambda b: until(b)),
    Column("TESTED", lambda b: ago(b["verified_at"]) if b["verified_at"] else "never"),
    Column("FOR", lambda b: named(b["databases"])),
]
SIDE_COLUMNS = [
    Column("ID", lambda s: s["id"]),
    Column("MOMENT", lambda s: local(s["target_time"])),
    Column("FROM", lambda s: s["backup"]),
    Column("ADDRESS", lambda s: f"{s['host']}:{s['port']}"),
    Column("STATUS", lambda s: "running" if s["running"] else "stopped"),
    Column("MADE", lambda s: ago(s["created_at"])),
]
NAMED = 3
"""Databases that a line tells of; of more their number."""


def local(moment: str) -> str:
    """Return a moment as the clock on the wall shows it, with its zone."""
    found = datetime.fromisoformat(moment).astimezone()
    return found.strftime("%Y-%m-%d %H:%M:%S %Z")


def named(names: list[str], kind: str = "databases") -> str:
    """Return some names, or how many there are."""
    if len(names) > NAMED:
        return f"{len(names)} {kind}"
    return ", ".join(map(clean, names))


def until(backup: Thing) -> str:
    """Return the last moment to which a backup can be restored: its own end where it is alone."""
    windows = backup["recovery_window"]
    return local(max(window["to"] for window in windows)) if windows else "its end"


def what(shown: Thing) -> str:
    """Return what a restore is about."""
    if shown["cluster"]:
        return "the whole cluster"
    return ", ".join(map(clean, shown["databases"])) or "no database"


def taken(backup: Thing) -> str:
    """Say what was backed up."""
    text = f"Took {backup['id']}: {backup['type']}, {backup['size']}"
    if backup["files"]:
        number = len(backup["files"])
        noun = "file or folder" if number == 1 else "files or folders"
        text += f", with {number} {noun} ({size(backup['files_bytes'])})"
    if backup["files_unread"]:
        text += f". {clean(backup['files_unread'])}"
    return f"{text}."


def put_back(shown: Thing) -> str | None:
    """Return which files come back, and of when they are."""
    if not shown["files"]:
        return None
    names = named([each["path"] for each in shown["files"]], "files and folders")
    return f"{names}, as they were {local(shown['files_time'])}"


def planned(shown: Thing, other: str | None = None) -> Details:
    """Return what a restore would do.

    Parameters
    ----------
    other
        Who else took the backup that was chosen.
    """
    begins = f"{shown['backup']}, taken by {clean(other)}" if other else shown["backup"]
    if not (shown["cluster"] or shown["databases"]):
        rows = [("from", begins), ("files", put_back(shown)), ("keeps", kept_files(shown))]
        return Details(shown, rows)
    beside, whole = shown["mode"] == "side", shown["cluster"]
    sizes = shown["bytes"]
    replaced = f"{what(shown)}; all sessions in there end" if not beside else None
    return Details(
        shown,
        [
            ("from", begins),
            ("moment", f"{local(shown['target_time'])} (timeline {shown['timeline']})"),
            ("restores", what(shown)),
            ("files", put_back(shown)),
            ("replaces", replaced or "nothing: it is left beside, at a port of its own"),
            ("keeps", kept(shown, whole)),
            ("keeps files", kept_files(shown)),
            ("kept already", kept_earlier(shown)),
            ("needs", f"{size(sizes['side'])} beside; {size(sizes['free'])} are free"),
            ("takes", f"about {max(1, round(shown['seconds']))} s"),
        ],
    )


def kept(shown: Thing, whole: bool) -> str | None:
    """Return where what was there before is afterwards, and how large it is."""
    if not shown["kept"]:
        return None
    bytes_ = size(shown["bytes"]["kept"])
    if whole:
        return f"the cluster of now ({bytes_}) in the folder {clean(shown['kept']['cluster'])}"
    return f"{bytes_} as {', '.join(map(clean, shown['kept'].values()))}"


def kept_earlier(shown: Thing) -> str | None:
    """Return how large what earlier restores have kept is."""
    bytes_ = shown["bytes"].get("kept_earlier")
    return f"{size(bytes_)} of earlier restores, for a while" if bytes_ else None


def kept_files(shown: Thing) -> str | None:
    """Return where the files of before are afterwards."""
    name = shown["kept_files"]
    return f"your folder as the snapshot {clean(name)}" if name else None


def restored(shown: Thing) -> Done:
    """Say what was restored."""
    moment = local(shown["target_time"])
    side = shown.get("side")
    if side:
        address = side.get("connection_url") or f"{side['host']}:{side['port']}"
        said = f"The cluster of {moment} is left beside: {address}"
        return Done(said, shown, side["id"])
    files = ""
    if back := put_back(shown):
        files = f" In place: {back}."
        if shown["kept_files"]:
            files += f" Your folder of before is the snapshot {clean(shown['kept_files'])}."
    if not (shown["cluster"] or shown["databases"]):
        return Done(files.strip(), shown, shown["backup"])
    there = "are" if len(shown["databases"]) > 1 else "is"
    text = f"{what(shown)} {there} back at {moment}."
    if shown["kept"]:
        text += f" What was there before is {', '.join(map(clean, shown['kept'].values()))}."
    text = text[0].upper() + text[1:] if shown["cluster"] else text
    return Done(text + files, shown, what(shown))
