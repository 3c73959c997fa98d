"""Files of the product's own cluster: where they lie, and what its configuration says."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ..errors import Unavailable
from .place import SUPERUSER, Place
from .processes import SystemUser

ROOTS_FOLDER = Path("/var/lib/jupyter_ext")
"""Where clusters lie if the server runs as root, whose home a database's user can't enter."""

RECORD = "cluster.json"
"""In the home folder: where the cluster lies."""

CONNECTIONS = 300
"""Of all; each takes memory only while it is there."""

RESERVED_CONNECTIONS = 20
"""That users can't take: the product's own pool, and what it has PostgreSQL do beside."""

CONFIGURATION = "jupyter_ext.conf"

SOCKET_PATH = 107
"""Bytes that the path of a Unix socket may have (``sun_path`` of unix(7), less its NUL)."""

NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs")
)
"""File systems over a network, whose locks and caches PostgreSQL can't rely on."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of the cluster.

    Parameters
    ----------
    folder
        Which holds its data directory, its log and its socket.
    system_identifier
        PostgreSQL's own name of it, which no other has.
    version
        Major one of PostgreSQL.
    """

    folder: str
    port: int
    system_identifier: str
    version: int

    @classmethod
    def read(cls, home: Path) -> Record | None:
        """Return what a home folder says; None where no cluster was made."""
        try:
            return cls(**json.loads((home / RECORD).read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise Unavailable(
                f"{home / RECORD}, which says where the databases are, can't be read: {error}.",
                "Put it back from a backup, or mend it by hand.",
            ) from error

    def write(self, home: Path) -> None:
        """Remember it; after a crash there is the old text or the new one."""
        new = home / f"{RECORD}.new"
        with new.open("w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(home / RECORD)


def folder_for(home: Path, chosen: str) -> Path:
    """Return where a new cluster lies.

    Parameters
    ----------
    chosen
        What `JupyterExt.cluster_dir` says; empty: nothing.
    """
    if not chosen and os.geteuid() != 0:
        return home / "postgres"
    # Several homes may share the folder.
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return Path(chosen or ROOTS_FOLDER).expanduser().absolute() / f"postgres-{name}"


def check_file_system(folder: Path) -> None:
    """See that the files lie on a disk of this machine.

    Raises
    ------
    Unavailable
        They would lie on another one.
    """
    path = folder.resolve()
    mounts = {
        Path(part.mountpoint): part.fstype.lower() for part in psutil.disk_partitions(all=True)
    }
    kind = next((mounts[place] for place in (path, *path.parents) if place in mounts), "")
    if kind in NETWORK or kind in ("fuse.sshfs", "fuse.glusterfs", "fuse.rclone"):
        raise Unavailable(
            f"Databases can't lie in {folder}, which is on a network file system ({kind}).",
            "Set JupyterExt.cluster_dir to a folder of a disk of this machine.",
        )


def socket_folder(folder: Path, port: int, user: SystemUser) -> Path:
    """Return the folder of the cluster's socket, made, and closed to everybody else.

    Raises
    ------
    Unavailable
        Somebody else has made it.
    """
    place = folder / "run"
    if len(os.fsencode(place / f".s.PGSQL.{port}.lock")) > SOCKET_PATH:
        short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        place = Path(tempfile.gettempdir()) / f"jupyter_ext-{short}"
    make_private(place, user)
    return place


def make_private(folder: Path, user: SystemUser) -> None:
    """Make a folder that one user alone can enter.

    Raises
    ------
    Unavailable
        It is there and somebody else's, or can't be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if folder.is_symlink() or state.st_uid not in (user.uid, os.geteuid()):
            raise Unavailable(f"{folder} belongs to somebody else.", "Take it away.")
        if state.st_uid != user.uid:
            os.chown(folder, user.uid, user.gid, follow_symlinks=False)
        folder.chmod(0o700)
    except OSError as error:
        raise Unavailable(
            f"{folder}, for databases, can't be made: {error.strerror or error}.",
            "Set JupyterExt.cluster_dir to a folder in which it can.",
        ) from error


def free_port(wanted: int = 0) -> int:
    """Return a port of 127.0.0.1 that nobody has: the wanted one, where it is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable("No port of 127.0.0.1 is free.", "End what uses them.")


def configure(
    data: Path,
    user: SystemUser,
    *,
    sockets: Path,
    port: int,
    address: str,
    log: str,
    closed: bool,
    more: Mapping[str, str],
) -> None:
    """Write what the product decides of the configuration; all else is the operator's.

    What belongs to users' access is written anew at each start: it is what keeps them apart. One
    that is `closed` lets in nobody but the superuser at the socket.
    """
    settings = {
        "listen_addresses": address,
        "port": str(port),
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": str(CONNECTIONS),
        "superuser_reserved_connections": str(RESERVED_CONNECTIONS),
        "password_encryption": "scram-sha-256",
        "hba_file": str(data / "pg_hba.conf"),
        "ident_file": str(data / "pg_ident.conf"),
        "logging_collector": "on",
        "log_directory": log,
        "log_filename": "postgresql.log",
        "log_file_mode": "0600",
        "log_rotation_size": "0",
        "log_rotation_age": "0",
        "log_timezone": "UTC",
        "lc_messages": "C",
        **more,
    }
    texts = {
        CONFIGURATION: "".join(f"{name} = {_quoted(text)}\n" for name, text in settings.items()),
        "pg_hba.conf": _access(None if closed else address),
        "pg_ident.conf": "".join(
            f"desk {json.dumps(name)} {SUPERUSER}\n"
            for name in sorted({user.name, SystemUser.own().name})
        ),
    }
    for name, text in texts.items():
        write_as(data / name, text, user)
    main = data / "postgresql.conf"
    include = f"include '{CONFIGURATION}'"
    written = main.read_text()
    if include not in written.splitlines():
        write_as(main, f"{written.rstrip()}\n\n{include}\n", user)


def admit(data: Path, user: SystemUser, role: str) -> None:
    """Let one role alone in by password, beside the superuser at the socket."""
    quoted = '"' + role.replace('"', '""') + '"'
    lines = [*_SUPERUSERS, f"host all {quoted} 127.0.0.1/32 scram-sha-256"]
    write_as(data / "pg_hba.conf", "".join(f"{line}\n" for line in lines), user)


def closed_mark(place: Place) -> Path:
    """Return the file that says that a cluster lets nobody in."""
    return place.data.with_name("closed")


def swap(live: Path, other: Path, kept: Path) -> None:
    """Put another folder in the place of one, which is kept; both steps are done or none.

    Raises
    ------
    Unavailable
        It can't be done.
    """
    if kept.exists():
        raise Unavailable(f"{kept} is there already.", "Try again.")
    try:
        live.rename(kept)
        try:
            other.rename(live)
        except OSError:
            kept.rename(live)
            raise
    except OSError as error:
        raise Unavailable(f"{other} can't take the place of {live}: {error.strerror}.") from error


def write_as(path: Path, text: str, user: SystemUser) -> None:
    """Write a file of the cluster's user whole, or not at all."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if user.uid != os.geteuid():
            os.fchown(file.fileno(), user.uid, user.gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


_SUPERUSERS = (
    f"local all {SUPERUSER} peer map=desk",
    # pgBackRest and pg_basebackup come by the socket.
    f"local replication {SUPERUSER} peer map=desk",
)


def _access(address: str | None) -> str:
    if address is None:
        return "".join(f"{line}\n" for line in _SUPERUSERS)
    lines = [
        *_SUPERUSERS,
        "local all all scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host all all ::1/128 scram-sha-256",
    ]
    if address not in ("127.0.0.1", "::1", "localhost"):
        lines.append("host all all all scram-sha-256")
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
