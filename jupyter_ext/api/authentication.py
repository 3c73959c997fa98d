"""Who is calling: header credentials of ours first, then Jupyter's login.

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

from jupyter_server.auth import User

from ..accounts.schemas import Account, Credential
from ..errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

KEY_PREFIX = "jx_"


class KeyVerifier(Protocol):
    """Whoever knows the API keys."""

    def verify_cached(self, key: str) -> Credential | None:
        """Answer from memory; None where the store has to be asked."""

    async def verify(self, key: str) -> Credential:
        """Answer or raise `Unauthenticated`."""


class TokenVerifier(Protocol):
    """Whoever judges tokens of Jupyter's form in Jupyter's stead: a JupyterHub."""

    async def verify(self, token: str) -> Credential:
        """Answer or raise; `Unavailable` where it can't be asked."""


class Authenticator:
    """One verifier for every carrier, used by every HTTP and WebSocket handler.

    Parameters
    ----------
    keys
        Knows the API keys.
    jupyter_account
        Maps a Jupyter login to an account.
    hub
        Knows whose a token is, on a desk of a JupyterHub.
    """

    def __init__(
        self,
        keys: KeyVerifier,
        jupyter_account: Callable[[User], Awaitable[Account]],
        hub: TokenVerifier | None = None,
    ) -> None:
        self._keys = keys
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
                bearer = await self.key(token)
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
        if credential is not None and credential.account is not None:
            name = credential.account.username
            handler._jupyter_current_user = handler.current_user = User(username=name)
            # Where JupyterHub's provider remembers whom it found: it would send our header to the
            # Hub otherwise.
            handler._jupyterhub_user = handler.current_user  # type: ignore[attr-defined]
            # Read by jupyter_server's is_token_authenticated: no XSRF check for a header that no
            # page can forge.
            handler._token_authenticated = True  # type: ignore[attr-defined]
        return credential

    @staticmethod
    def sent_key(handler: JupyterHandler) -> str:
        """Return the API key that `adopt_header` accepted."""
        headers = handler.request.headers
        return headers.get("X-API-Key", "") or headers.get("Authorization", "").partition(" ")[2]

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
            raise Unauthenticated("The Jupyter token of this request is not this server's.")
        user = handler.current_user
        if not user:
            return None
        account = await self._jupyter_account(user)
        if not account.enabled:
            raise Forbidden(f"The account {account.username!r} is disabled.")
        return Credential(
            id=f"jupyter:{account.id}", kind="jupyter", account=account, limited=False
        )


def sends_jupyter_token(handler: JupyterHandler) -> bool:
    """Whether the request's ``Authorization`` is of a form that Jupyter judges."""
    scheme = handler.request.headers.get("Authorization", "").partition(" ")[0]
    return scheme.lower() in ("bearer", "token")


def is_jwt(token: str) -> bool:
    """Whether a bearer has the form of a JSON Web Token (RFC 7519), valid or not."""
    return token.count(".") == 2 and token.startswith("ey")
