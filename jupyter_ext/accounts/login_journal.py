"""What the audit hears of logins: who came, who went, and whose password was tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from ..errors import NotFound, PlatformError
from .directory import Directory
from .schemas import Account, AuditEntry, Client

CREATE = "session:create"
DELETE = "session:delete"
REGISTER = "user:register"


class Audit(Protocol):
    """Whoever keeps entries."""

    def record(self, entry: AuditEntry) -> Awaitable[None]:
        """Keep an entry; it is kept when this returns."""

    def note(self, entry: AuditEntry) -> None:
        """Keep an entry soon."""


class LoginJournal:
    """Writes entries of logins."""

    def __init__(self, audit: Audit, directory: Directory) -> None:
        self._audit = audit
        self._directory = directory
        self._tasks: set[asyncio.Task[None]] = set()

    async def begun(self, account: Account, session: str, client: Client) -> None:
        """Somebody has logged in."""
        await self._audit.record(
            _entry(CREATE, 200, client, account, f"session:{session}", account.username)
        )

    async def registered(self, account: Account, client: Client) -> None:
        """Somebody has made an account of their own."""
        await self._audit.record(_entry(REGISTER, 201, client, account, "", account.username))

    async def ended(self, user_id: str, session: str, client: Client) -> None:
        """Somebody has logged out."""
        account = Account(user_id, await self._name(user_id), role="")
        await self._audit.record(
            _entry(DELETE, 200, client, account, f"session:{session}", account.username)
        )

    def refused(self, username: str, client: Client) -> None:
        """A password was wrong.

        Written down beside the reply: whether the name exists must not be heard from how long the
        reply takes. A name that nobody has is not kept, since it may be a password in the wrong
        field.
        """
        task = asyncio.get_running_loop().create_task(self._refused(username, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _refused(self, username: str, client: Client) -> None:
        try:
            found = (await self._directory.by_name(username)).username
        except PlatformError:
            found = ""
        self._audit.note(_entry(CREATE, 401, client, None, f"ip:{client.address}", found))

    async def _name(self, user_id: str) -> str:
        try:
            return (await self._directory.by_id(user_id)).username
        except NotFound:
            return ""


def _entry(
    action: str, status: int, client: Client, account: Account | None, credential: str, target: str
) -> AuditEntry:
    return AuditEntry(
        action=action,
        status=status,
        account=account,
        credential=credential or f"ip:{client.address}",
        address=client.address,
        method="POST",
        path=client.path,
        target=target,
        request_id=client.request_id,
    )
