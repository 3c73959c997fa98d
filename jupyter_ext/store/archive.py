"""One file with a store and its key: a tar archive of a manifest, the database and the key file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..errors import Conflict, Unavailable
from .secrets import read_keys, sync_folder

FORMAT = 1
MANIFEST, KEYS = "manifest.json", "store.key"
DATABASES = {"sqlite": "store.db", "postgresql": "store.dump"}
"""The database's file in the archive, by kind."""

LARGEST_MANIFEST = 1 << 16
"""Bytes; of the key file, too."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds.

    Parameters
    ----------
    format
        Of the archive.
    version
        Of the product that made it.
    database
        ``sqlite`` or ``postgresql``.
    store, revision, key
        As in `Identity`.
    created_at
        ISO 8601, in UTC.
    sha256
        Of the files, by their names.
    """

    format: int
    version: str
    database: str
    store: str
    revision: str
    key: str
    created_at: str
    sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class Archive:
    """What was unpacked, and found whole."""

    manifest: Manifest
    database: Path
    keys: dict[str, bytes]


def digest(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def pack(manifest: Manifest, folder: Path, file: Path, *, force: bool) -> None:
    """Write the files of `folder` into a new archive, there as a whole or not at all.

    Raises
    ------
    Conflict
        The file is there.
    """
    text = json.dumps(asdict(manifest), indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    new = folder / "archive"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        with tarfile.open(fileobj=opened, mode="w:gz", compresslevel=6) as archive:
            for name in (MANIFEST, *manifest.sha256):
                archive.add(folder / name, name, filter=_private)
        opened.flush()
        os.fsync(opened.fileno())
    if force:
        new.replace(file)
    else:
        try:
            # Unlike a rename, a link replaces nothing.
            os.link(new, file)
        except FileExistsError as error:
            raise exists(file) from error
    sync_folder(file.parent)


def exists(file: Path) -> Conflict:
    """Make the error for a file that would be overwritten."""
    return Conflict("file", str(file), f"{file} exists. Choose another name, or add --force.")


def unpack(file: Path, folder: Path) -> Archive:
    """Take an archive apart and compare every file with its checksum.

    Raises
    ------
    Unavailable
        It can't be read, is none, is of a newer version, or is damaged.
    """
    try:
        with tarfile.open(file, "r:gz") as archive:
            for name in (MANIFEST, KEYS):
                _extract(archive, name, folder, LARGEST_MANIFEST)
            manifest = _manifest(folder / MANIFEST)
            if manifest.format != FORMAT or manifest.database not in DATABASES:
                raise Unavailable(
                    f"{file} was made by jupyter-ext {manifest.version}, in a form that this "
                    "version does not know.",
                    "Install that version, or a newer one.",
                )
            database = DATABASES[manifest.database]
            _extract(archive, database, folder)
        for name in (KEYS, database):
            if digest(folder / name) != manifest.sha256.get(name):
                raise ValueError(f"the checksum of {name} is another one")
        keys = read_keys((folder / KEYS).read_text(encoding="ascii"))
    except OSError as error:
        raise Unavailable(f"{file} can't be read: {error.strerror or error}.") from error
    except (tarfile.TarError, EOFError, zlib.error, KeyError, ValueError, TypeError) as error:
        raise Unavailable(
            f"{file} is no backup of a store, or is damaged: {error}.", "Take another one."
        ) from error
    return Archive(manifest, folder / database, keys)


def _manifest(file: Path) -> Manifest:
    read = json.loads(file.read_text(encoding="utf-8"))
    return Manifest(**{each.name: read[each.name] for each in fields(Manifest)})


def _extract(archive: tarfile.TarFile, name: str, folder: Path, largest: int = 0) -> None:
    """Write one member under the name that it must have, whatever else the archive says of it."""
    member = archive.getmember(name)
    source = archive.extractfile(member) if member.isreg() else None
    if source is None or (largest and member.size > largest):
        raise ValueError(f"{name} is not what it should be")
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source, os.fdopen(descriptor, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def _private(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
    return member
