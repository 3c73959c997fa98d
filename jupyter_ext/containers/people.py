"""User names of those who own containers and images, kept in memory."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from ..accounts.schemas import Account
from ..errors import NotFound, PlatformError
from ..store import Store
from .tasks import end_soon

_log = logging.getLogger(__name__)


class Accounts(Protocol):
    """Who knows of accounts."""

    async def names(self) -> dict[str, str]:
        """Return all user names by account id."""

    async def by_name(self, username: str) -> Account:
        """Return an account; raises `NotFound`."""

    async def owner(self) -> Account:
        """Return the administrator who owns this server."""


class People:
    """Names by account id, without a question to the store per container."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._owner = ""
        self._task: asyncio.Task[None] | None = None
        self._wanted = self._stopped = False

    async def load(self) -> None:
        """Read all names."""
        self._names = await self._accounts.names()
        self._ids = {name: key for key, name in self._names.items()}
        self._owner = (await self._accounts.owner()).id

    def watch(self) -> None:
        """Read them again whenever accounts change."""
        self._store.signals.on_change("accounts", self._reload)

    async def stop(self) -> None:
        """End what runs in the background."""
        self._stopped = True
        await end_soon(self._task)

    def _reload(self) -> None:
        # The store goes on telling until it is closed.
        if self._stopped:
            return
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._load_again())

    async def _load_again(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                await self.load()
            except PlatformError as error:
                # The names stay as they were; the next change is followed again.
                _log.warning("User names could not be read again: %s", error)

    def learn(self, account: Account) -> None:
        """Remember somebody who just came."""
        if account.id not in self._names:
            self._names[account.id] = account.username
            self._ids[account.username] = account.id

    def name(self, account_id: str) -> str:
        """The user name of an account; its id where the account is gone."""
        return self._names.get(account_id, account_id)

    def id(self, username: str) -> str | None:
        """The account of a user name, None where there is none."""
        return self._ids.get(username)

    @property
    def owner(self) -> str:
        """The account of whoever owns this server, and what nobody else does."""
        return self._owner

    async def account(self, account_id: str) -> Account:
        """The whole account.

        Raises
        ------
        NotFound
            It is gone.
        """
        name = self._names.get(account_id)
        if name is None:
            raise NotFound("user", account_id)
        return await self._accounts.by_name(name)
