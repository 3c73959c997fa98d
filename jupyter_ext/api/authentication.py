"""Who is calling: header credentials of ours first, then Jupyter's login, then our cookies.

On the routes of the document that has cookies they come before Jupyter's login.

Facts about Jupyter that shape this file:

* A valid header credential is set as the handler's user and marked as token-authenticated before
  Jupyter's own ``prepare``: it skips its XSRF check then, and JupyterHub's provider never sees our
  ``Authorization``.
* ``Authorization: token …`` and a bearer that is neither an API key nor a JWT are Jupyter's. They
  must be right: a wrong one is refused although a cookie beside it may be good.
* Jupyter's shared token makes a random anonymous user per browser, so on a single-user server
  every Jupyter login is its owner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from jupyter_server.auth import User

from ..accounts.schemas import Account, Client, Credential
from ..errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler
    from tornado.httputil import HTTPServerRequest

    from ..accounts.tokens import TokenKind

KEY_PREFIX = "jx_"
LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})


class KeyVerifier(Protocol):
    """Whoever knows the API keys."""

    def verify_cached(self, key: str) -> Credential | None:
        """Answer from memory; None where the store has to be asked."""

    async def verify(self, key: str) -> Credential:
        """Answer or raise `Unauthenticated`."""


class TokenVerifier(Protocol):
    """Whoever knows the logins by their tokens."""

    def verify_cached(self, token: str, kind: TokenKind) -> Credential | None:
        """Answer from memory; None where it has to be looked at."""

    async def verify(self, token: str, kind: TokenKind) -> Credential:
        """Answer or raise `Unauthenticated`."""


class HubVerifier(Protocol):
    """Whoever judges tokens of Jupyter's form in Jupyter's stead: a JupyterHub."""

    async def verify(self, token: str) -> Credential:
        """Answer or raise; `Unavailable` where it can't be asked."""


class Authenticator:
    """One verifier for every carrier, used by every HTTP and WebSocket handler.

    Parameters
    ----------
    keys
        Knows the API keys.
    tokens
        Knows the logins.
    jupyter_account
        Maps a Jupyter login to an account.
    hub
        Knows whose a token is, on a desk of a JupyterHub.
    """

    def __init__(
        self,
        keys: KeyVerifier,
        tokens: TokenVerifier,
        jupyter_account: Callable[[User], Awaitable[Account]],
        hub: HubVerifier | None = None,
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._jupyter_account = jupyter_account
        self._hub = hub

    async def key(self, key: str) -> Credential:
        """Verify an API key.

        Raises
        ------
        Unauthenticated
            It is malformed, unknown, expired or revoked, or its account is disabled.
        """
        return self._keys.verify_cached(key) or await self._keys.verify(key)

    async def bearer(self, text: str) -> Credential:
        """Verify an API key or a JSON Web Token.

        Raises
        ------
        Unauthenticated
            It is malformed, unknown, expired or revoked, or its account is disabled.
        """
        if not is_jwt(text):
            return await self.key(text)
        return self._tokens.verify_cached(text, "access") or await self._tokens.verify(
            text, "access"
        )

    async def adopt_header(self, handler: JupyterHandler) -> Credential | None:
        """Resolve the header credential of a request, before Jupyter's ``prepare``.

        Returns
        -------
        Credential or None
            None where there is none, or where it is Jupyter's own to judge (`adopt_jupyter`).

        Raises
        ------
        Unauthenticated
            One is there and wrong, or two disagree.
        """
        headers = handler.request.headers
        sent = headers.get("X-API-Key")
        authorization = headers.get("Authorization")
        if sent is None and authorization is None:
            return None
        credential = None if sent is None else await self.key(sent.strip())
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            token = token.strip()
            if scheme.lower() == "bearer" and (token.startswith(KEY_PREFIX) or is_jwt(token)):
                bearer = await self.bearer(token)
                if credential is not None and credential.account != bearer.account:
                    raise Unauthenticated(
                        "X-API-Key and Authorization name two different accounts. Send one of them."
                    )
                credential = bearer
            elif scheme.lower() in ("bearer", "token"):
                if credential is not None:
                    raise Unauthenticated(
                        "X-API-Key and a Jupyter token disagree. Send one of them."
                    )
                if self._hub is None:
                    return None
                credential = await self._hub.verify(token)
        if credential is not None:
            _adopt(handler, credential)
        return credential

    async def adopt_cookie(self, handler: JupyterHandler) -> Credential | None:
        """Resolve the two cookies of a login; None where there are none, or a header counts.

        Raises
        ------
        Unauthenticated
            They are dead, or don't belong together.
        Forbidden
            A page of another origin makes the browser send them, for more than a look.
        """
        token = login_cookie(handler.request)
        if token is None:
            return None
        credential = self._tokens.verify_cached(token, "cookie") or await self._tokens.verify(
            token, "cookie"
        )
        name = handler.request.cookies.get("username")
        account = credential.account
        if account is None or name is None or name.value != account.username:
            raise Unauthenticated("The cookies username and user_token don't belong together.")
        if handler.request.method not in LOOKS and not same_origin(handler.request):
            raise Forbidden("A page of another origin sent this with your cookies.")
        _adopt(handler, credential)
        return credential

    async def adopt_query(self, handler: JupyterHandler) -> Credential | None:
        """Resolve ``?token=`` of a WebSocket, which takes a JSON Web Token there.

        Returns
        -------
        Credential or None
            None where there is none, or where it is Jupyter's own token.

        Raises
        ------
        Unauthenticated
            It is wrong.
        """
        token = _query_token(handler)
        if not is_jwt(token):
            return None
        credential = await self.bearer(token)
        _adopt(handler, credential)
        return credential

    @staticmethod
    def sent(handler: JupyterHandler) -> str:
        """Return the API key or token that `adopt_header` or `adopt_query` accepted."""
        headers = handler.request.headers
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        token = token.strip()
        # As `adopt_header` takes them: of two the bearer; other schemes are a proxy's.
        if scheme.lower() == "bearer" and (token.startswith(KEY_PREFIX) or is_jwt(token)):
            return token
        return headers.get("X-API-Key", "").strip() or _query_token(handler)

    async def adopt_jupyter(self, handler: JupyterHandler) -> Credential | None:
        """Map the user that Jupyter's ``prepare`` found to an account.

        Raises
        ------
        Unauthenticated
            The request carries a Jupyter token that is wrong.
        """
        if self._hub is not None and sends_jupyter_token(handler):
            authorization = handler.request.headers["Authorization"]
            return await self._hub.verify(authorization.partition(" ")[2].strip())
        judged = handler.identity_provider.auth_enabled and sends_jupyter_token(handler)
        if judged and not handler.token_authenticated:
            raise Unauthenticated(
                "This is neither the Jupyter token of this server nor an API key, "
                "which begins with jx_."
            )
        user = handler.current_user
        if not user:
            return None
        account = await self._jupyter_account(user)
        if not account.enabled:
            raise Forbidden(f"The account {account.username!r} is disabled.")
        return Credential(
            id=f"jupyter:{account.id}", kind="jupyter", account=account, limited=False
        )


def _adopt(handler: JupyterHandler, credential: Credential) -> None:
    if credential.account is None:
        return
    name = credential.account.username
    handler._jupyter_current_user = handler.current_user = User(username=name)
    # Where JupyterHub's provider remembers whom it found: it would send our header to the Hub
    # otherwise.
    handler._jupyterhub_user = handler.current_user  # type: ignore[attr-defined]
    # Read by jupyter_server's is_token_authenticated: no XSRF check for a header that no page can
    # forge, nor for cookies whose origin was looked at.
    handler._token_authenticated = True  # type: ignore[attr-defined]


def _query_token(handler: JupyterHandler) -> str:
    sent = handler.request.query_arguments.get("token", [b""])[-1]
    return sent.decode("utf-8", "replace")


def same_origin(request: HTTPServerRequest) -> bool:
    """Whether a request comes from a page of this server, or from no page at all.

    Browsers say where a request comes from by Sec-Fetch-Site (W3C Fetch Metadata), older ones by
    Origin; a program sends neither.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


def sent_cookie(request: HTTPServerRequest) -> str | None:
    """Return the ``user_token`` of a request; an empty one is none."""
    found = request.cookies.get("user_token")
    return found.value if found is not None and found.value else None


def login_cookie(request: HTTPServerRequest) -> str | None:
    """Return the ``user_token`` that a request logs in by.

    Beside a header that Jupyter judges there is none: a wrong header is refused, whatever else a
    request carries.
    """
    return None if _has_bearer(request) else sent_cookie(request)


def sent_jwt(request: HTTPServerRequest) -> str | None:
    """Return the bearer of a request that has the form of a JSON Web Token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and is_jwt(token) else None


def client_of(request: HTTPServerRequest, request_id: str) -> Client:
    """Return what a login is told of a request."""
    return Client(
        address=request.remote_ip or "",
        same_origin=same_origin(request),
        bearer=sent_jwt(request),
        cookie=sent_cookie(request),
        path=request.path,
        request_id=request_id,
    )


def sends_jupyter_token(handler: JupyterHandler) -> bool:
    """Whether the request's ``Authorization`` is of a form that Jupyter judges."""
    return _has_bearer(handler.request)


def _has_bearer(request: HTTPServerRequest) -> bool:
    scheme = request.headers.get("Authorization", "").partition(" ")[0]
    return scheme.lower() in ("bearer", "token")


def is_jwt(token: str) -> bool:
    """Whether a bearer has the form of a JSON Web Token (RFC 7519), valid or not."""
    return token.count(".") == 2 and token.startswith("ey")
