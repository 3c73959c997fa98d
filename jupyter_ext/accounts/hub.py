"""Whose a JupyterHub token is: the Hub is asked, and what it says of roles counts here.

* Only users' tokens count, and only those whose scopes open this service
  (``access:services!service=NAME``), as JupyterHub's own services have it.
* The Hub rules the role of everybody whom it names: its administrators are administrators, its
  groups give the roles of `JupyterExt.hub_group_roles`, and everybody else is a ``user``. A role
  set here by hand lasts until the Hub's next answer; permissions granted beside it stay.
* An answer holds for `REMEMBERED_SECONDS`, so a token that the Hub revoked, or an administrator
  that it took back, is one no longer than that. A Hub that does not answer says nothing against
  anybody: that is `Unavailable`, never `Unauthenticated`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import Forbidden, NotFound, Unauthenticated, Unavailable
from .directory import local_name
from .schemas import Account, Credential

if TYPE_CHECKING:
    import httpx

    from .manager import AccountManager

REMEMBERED_SECONDS = 30.0
"""That an answer of the Hub holds."""
REFUSED_SECONDS = 5.0
"""That a refusal holds: a panel with a dead token asks again and again."""
REMEMBERED = 10_000
"""Answers in memory; beyond it the memory begins anew."""
DEADLINE = 5.0
"""Seconds that the Hub may take to answer."""
CONNECTIONS = 20
LONGEST_TOKEN = 512

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the Hub said of a token.

    Parameters
    ----------
    until
        How long it holds, on the monotonic clock.
    """

    until: float
    username: str = ""
    refusal: Unauthenticated | Forbidden | None = None


def owner_name(environ: Mapping[str, str]) -> str:
    """Return who owns a server: on a user's own server under a JupyterHub that user."""
    user = environ.get("JUPYTERHUB_USER")
    # A service is told the system's user that it runs as by this name.
    return local_name(user) if user and not environ.get("JUPYTERHUB_SERVICE_NAME") else "admin"


class HubUsers:
    """Maps tokens of a JupyterHub to accounts.

    Parameters
    ----------
    api_url
        Of the Hub, ``http://127.0.0.1:8081/hub/api``.
    service
        What the Hub calls this desk.
    group_roles
        Roles by group of the Hub; of several groups the first one here counts.
    """

    def __init__(
        self,
        accounts: AccountManager,
        *,
        api_url: str,
        service: str,
        group_roles: Mapping[str, str],
    ) -> None:
        self._accounts = accounts
        self._url = api_url.rstrip("/") + "/user"
        self._scope = f"access:services!service={service}"
        self._group_roles = dict(group_roles)
        self._known: dict[bytes, _Answer] = {}
        self._asking: dict[bytes, asyncio.Task[_Answer]] = {}

    async def verify(self, token: str) -> Credential:
        """Return whose token this is.

        Raises
        ------
        Unauthenticated
            The Hub does not know it.
        Forbidden
            It is a service's, does not open this desk, or its user's account is disabled.
        Unavailable
            The Hub does not answer.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        answer = self._known.get(digest)
        if answer is None or time.monotonic() >= answer.until:
            answer = await self._ask_once(digest, token)
        if answer.refusal is not None:
            raise type(answer.refusal)(answer.refusal.message)
        try:
            account = await self._accounts.by_name(answer.username)
        except NotFound:
            # Deleted since the Hub was asked; whoever the Hub knows begins anew.
            self._known.pop(digest, None)
            answer = await self._ask_once(digest, token)
            account = await self._accounts.by_name(answer.username)
        if not account.enabled:
            raise Forbidden(f"The account {account.username!r} is disabled.")
        return Credential(
            id=f"jupyter:{account.id}", kind="jupyter", account=account, limited=False
        )

    async def close(self) -> None:
        """Close the connections to the Hub."""
        for task in tuple(self._asking.values()):
            task.cancel()
        if "_client" in self.__dict__:
            await self._client.aclose()

    # -- inside ------------------------------------------------------------------------------

    async def _ask_once(self, digest: bytes, token: str) -> _Answer:
        """Ask, one time for all who ask the same now."""
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.ensure_future(self._judge(token))
            self._asking[digest] = task
            task.add_done_callback(lambda done: self._asked(digest, done))
        # Whoever goes away takes nothing from the others who wait.
        return await asyncio.shield(task)

    def _asked(self, digest: bytes, task: asyncio.Task[_Answer]) -> None:
        self._asking.pop(digest, None)
        if task.cancelled() or task.exception() is not None:
            self._known.pop(digest, None)
            return
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[digest] = task.result()

    async def _judge(self, token: str) -> _Answer:
        asked_at = time.monotonic()
        try:
            account = await self._account(await self._whose(token))
        except (Unauthenticated, Forbidden) as error:
            return _Answer(asked_at + REFUSED_SECONDS, refusal=error)
        return _Answer(asked_at + REMEMBERED_SECONDS, account.username)

    async def _whose(self, token: str) -> Mapping[str, Any]:
        """Return the Hub's word on the token's owner."""
        import httpx

        if not token.isascii() or not token.isprintable() or not 0 < len(token) <= LONGEST_TOKEN:
            raise Unauthenticated("This is no token of the JupyterHub.")
        headers = {"Authorization": f"token {token}"}
        try:
            async with asyncio.timeout(DEADLINE):
                reply = await self._client.get(self._url, headers=headers)
            if reply.status_code in (401, 403):
                raise Unauthenticated(
                    "JupyterHub does not know this token: it is mistyped, revoked or expired."
                )
            reply.raise_for_status()
            found = reply.json()
            if not isinstance(found, dict) or not isinstance(found.get("name"), str):
                raise ValueError("no name")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            _log.warning("JupyterHub at %s can't be asked: %r", self._url, error)
            raise self._silent(error) from error
        return found

    def _silent(self, error: Exception) -> Unavailable:
        import httpx

        said = type(error).__name__
        if isinstance(error, httpx.HTTPStatusError):
            said = f"HTTP {error.response.status_code}"
        return Unavailable(
            f"JupyterHub at {self._url} can't be asked who you are ({said}).",
            "Is it running, and is $JUPYTERHUB_API_URL right?",
        )

    async def _account(self, found: Mapping[str, Any]) -> Account:
        """Return the account of a token's owner, in the role that the Hub gives them."""
        name = found["name"]
        if found.get("kind") != "user":
            raise Forbidden(
                f"This token is the JupyterHub service {name!r}'s. Only users' tokens count here."
            )
        if not {self._scope, "access:services"} & set(found.get("scopes") or ()):
            raise Forbidden(
                f"This token of {name!r} does not open this service. JupyterHub's administrator "
                f'adds the scope "{self._scope}" to the roles `user` and `server`.'
            )
        role = self._role(found)
        owner = await self._accounts.owner()
        if local_name(name) == owner.username and role != "admin":
            raise Forbidden(
                f"The name {name!r} is this desk's own administrator's. "
                "Set JupyterExt.admin_username to a name that nobody has in the JupyterHub."
            )
        return await self._accounts.ensure(name, role=role)

    def _role(self, found: Mapping[str, Any]) -> str:
        if found.get("admin") is True:
            return "admin"
        groups = set(found.get("groups") or ())
        return next((role for group, role in self._group_roles.items() if group in groups), "user")

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        import ssl

        import httpx

        # The machine's own authorities and SSL_CERT_FILE, which take a while to load; over HTTP
        # none is needed.
        secure = self._url.startswith("https:")
        verify = ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncClient(
            timeout=DEADLINE,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            verify=verify,
            trust_env=False,
        )
