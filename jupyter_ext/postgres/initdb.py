"""Makes the files of a new cluster. Source: PostgreSQL's documentation, "initdb"."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path

from ..devices.threads import in_a_thread
from ..errors import Unavailable
from . import files
from .files import Record
from .place import SUPERUSER
from .processes import ProgramFailed, SystemUser, run
from .programs import find_programs
from .settings import PostgresSettings

THREAD = "jupyter_ext-initdb"

INITDB_SECONDS = 120.0

ANSWER_SECONDS = 10.0

_log = logging.getLogger(__name__)


async def make_cluster(settings: PostgresSettings, home: Path, chosen: str) -> Record:
    """Make a cluster, to be put into its place; nothing half-made is ever taken for one.

    Parameters
    ----------
    chosen
        What `JupyterExt.cluster_dir` says.

    Raises
    ------
    Unavailable
        It can't be made; the text says why.
    """
    programs = await in_a_thread(partial(find_programs, settings.programs), THREAD)
    user = _system_user(settings)
    folder = files.folder_for(home, chosen)
    await in_a_thread(partial(_prepare, folder, user), THREAD)
    data, new = folder / "data", folder / "data.new"
    if data.exists():
        raise Unavailable(
            f"There is a cluster in {data} already, of which {home} knows nothing.",
            f"Put {files.RECORD} back, or move that folder away.",
        )
    with suppress(FileNotFoundError):
        await in_a_thread(partial(shutil.rmtree, new), THREAD)
    _log.info("Making a PostgreSQL cluster in %s", folder)
    command = [programs["initdb"], "-D", str(new), "-U", SUPERUSER, "-A", "reject"]
    command += ["-E", "UTF8", "--locale", "C.UTF-8", "--data-checksums"]
    try:
        await run(command, user=user, deadline=INITDB_SECONDS)
        printed = await run(
            [programs["pg_controldata"], "-D", str(new)], user=user, deadline=ANSWER_SECONDS
        )
    except (ProgramFailed, TimeoutError, OSError) as error:
        await in_a_thread(partial(shutil.rmtree, new, True), THREAD)
        raise Unavailable(
            f"A PostgreSQL cluster could not be made in {folder}: {error}.",
            "Is there room, and can its user enter the folder?",
        ) from error
    identifier = _field(printed, "Database system identifier")
    port = files.free_port(settings.port)
    record = Record(str(folder), port, identifier, programs.version)
    record.write(home)
    return record


def _prepare(folder: Path, user: SystemUser) -> None:
    files.check_file_system(folder if folder.exists() else folder.parent)
    try:
        # The cluster's user must be able to pass through.
        folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{folder.parent} can't be made: {error.strerror}.",
            "Set JupyterExt.cluster_dir to a folder in which it can.",
        ) from error
    files.make_private(folder, user)


def _system_user(settings: PostgresSettings) -> SystemUser:
    if os.geteuid() != 0:
        return SystemUser.own()
    try:
        return SystemUser.named(settings.system_user)
    except KeyError:
        raise Unavailable(
            f"PostgreSQL does not run as root, and there is no user "
            f"{settings.system_user!r} on this machine.",
            "Make one (`useradd --system postgres`), or set PostgresSettings.system_user.",
        ) from None


def _field(printed: str, name: str) -> str:
    for line in printed.splitlines():
        label, _, value = line.partition(":")
        if label.strip() == name:
            return value.strip()
    raise Unavailable(f"pg_controldata does not tell the {name}.")
