"""``Idempotency-Key``: a POST that is sent twice acts once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ..accounts.schemas import Credential
from .services import Services

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

    from ..operations.idempotency import StoredReply
    from ..operations.schemas import Operation


class Claim:
    """What one request holds of its key: nothing where it carries none.

    Parameters
    ----------
    services
        Where replies are kept.
    """

    def __init__(self, services: Services) -> None:
        self._keys = services.idempotency
        self._account = ""
        self._key = ""

    async def take(
        self, request: HTTPServerRequest, body: bytes, credential: Credential
    ) -> StoredReply | Operation | None:
        """Return the first answer, or None where this request is the first (or has no key).

        Where the server died that was to answer, what it had begun is the answer.

        Raises
        ------
        Conflict
            The key was sent with another request, or the first is still being answered.
        InvalidRequest
            It is too long.
        Unavailable
            The store does not answer: without it nobody could know that this is the first.
        """
        key = request.headers.get("Idempotency-Key", "")
        if request.method != "POST" or not key or credential.account is None:
            return None
        account = credential.account.id
        digest = hashlib.sha256((request.uri or "").encode() + b"\n" + body).hexdigest()
        stored = await self._keys.begin(account, key, "POST", request.path, digest)
        if stored is None:
            self._account, self._key = account, key
        return stored

    async def ended(self, operation: Operation) -> None:
        """Wait for the end of what a request began whose server died."""
        await self._keys.ended(operation.id)

    async def keep(self, status: int, location: str | None, body: bytes) -> None:
        """Remember the answer; it never fails, since what was asked for has been done."""
        if self._key:
            headers = {"Location": location} if location else {}
            key, self._key = self._key, ""
            await self._keys.finish(
                self._account, key, status=status, headers=headers, body=body.decode()
            )

    async def release(self) -> None:
        """Let the request be sent again: it failed."""
        if self._key:
            key, self._key = self._key, ""
            await self._keys.forget(self._account, key)
