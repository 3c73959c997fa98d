"""Where the files of snapshots are kept: a repository and a password of their own for each user."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import select

from ..devices.threads import in_a_thread
from ..errors import Unavailable
from ..postgres.files import ROOTS_FOLDER
from ..postgres.owned_files import bytes_below, make_folder, remove_folders, write_private
from ..postgres.processes import SystemUser
from ..store.base import Fact
from ..store.database import Store, insert_for
from .restic import CURE, PROGRAM, Restic
from .settings import SnapshotSettings

FACT = "snapshots.key"
"""Of the store's facts: the encrypted key that all passwords are made of."""


class Vault:
    """Repositories by account.

    Parameters
    ----------
    chosen
        What `JupyterExt.cluster_dir` says.
    """

    def __init__(self, store: Store, settings: SnapshotSettings, home: Path, chosen: str) -> None:
        self._store = store
        self.folder = folder_for(settings, home, chosen)

    @staticmethod
    def program() -> str:
        """Return restic; raises `Unavailable` where it is not installed."""
        if (found := shutil.which(PROGRAM)) is None:
            raise Unavailable("restic, which keeps the files of snapshots, is missing.", CURE)
        return found

    async def open(self, owner: str, user: SystemUser) -> Restic:
        """Return an account's repository, made where there is none.

        Parameters
        ----------
        user
            Whose it is, and who alone can read it.
        """
        program, key = self.program(), await self._key()
        password = hmac.new(key.encode(), owner.encode(), hashlib.sha256).hexdigest()
        place, file = self.place(owner), self.place(owner) / "password"

        def prepare() -> None:
            if not self.folder.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                # Users' own programs go through, and see nothing.
                self.folder.chmod(0o711)
            make_folder(place, user)
            if not file.exists():
                write_private(file, password + "\n", user)

        try:
            await in_a_thread(prepare, "snapshots folder")
        except OSError as error:
            raise Unavailable(
                f"Files can't be kept in {place}: {error.strerror or error}.",
                "Mend the folder, or choose another one (SnapshotSettings.repository).",
            ) from error
        restic = Restic(program, place / "repository", file, user)
        await restic.prepare()
        return restic

    def place(self, owner: str) -> Path:
        """Return the folder of an account's repository, which belongs to who runs restic."""
        return self.folder / owner

    async def has(self, owner: str) -> bool:
        """Whether an account has a repository."""
        config = self.place(owner) / "repository" / "config"
        return await in_a_thread(config.exists, "snapshots repository")

    async def user_of(self, owner: str) -> SystemUser:
        """Return whose the repository of an account is; raises `FileNotFoundError`."""
        found = await in_a_thread(self.place(owner).lstat, "snapshots repository")
        return SystemUser(str(found.st_uid), found.st_uid, found.st_gid)

    async def size(self, owner: str) -> int:
        """Return the bytes that an account's repository takes up."""
        return await in_a_thread(partial(bytes_below, self.place(owner)), "snapshots size")

    async def remove(self, owner: str) -> None:
        """Remove an account's repository."""
        with suppress(FileNotFoundError):
            await remove_folders(await self.user_of(owner), self.place(owner))

    async def _key(self) -> str:
        fresh = self._store.secrets.encrypt(secrets.token_urlsafe(48))
        insert = insert_for(self._store.is_sqlite)(Fact)
        async with self._store.write() as session:
            await session.execute(insert.values(name=FACT, value=fresh).on_conflict_do_nothing())
            kept = await session.scalar(select(Fact.value).where(Fact.name == FACT))
        return self._store.secrets.decrypt(str(kept))


def folder_for(settings: SnapshotSettings, home: Path, chosen: str) -> Path:
    """Return the folder of all repositories."""
    if settings.repository:
        return Path(settings.repository).expanduser().absolute()
    if not chosen and os.geteuid() != 0:
        return home / "snapshots"
    # Several homes may share the folder.
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return Path(chosen or ROOTS_FOLDER).expanduser().absolute() / f"snapshots-{name}"
