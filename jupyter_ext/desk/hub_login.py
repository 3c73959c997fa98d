"""The login of a desk that is a JupyterHub's service: the Hub's own, by OAuth.

What it finds out is a token; whose that is, and what they may do, `accounts.hub` asks the Hub.
Needs the extra ``hub``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import JupyterHandler
from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider
from tornado import web
from traitlets import default

from ..accounts.hub import REMEMBERED_SECONDS

if TYPE_CHECKING:
    from jupyter_server.auth import User

FIRST_PAGE = "api/v1/docs"


class HubLogin(JupyterHandler):
    """Sends whoever is not logged in to the Hub, and everybody else to the first page."""

    @web.authenticated
    def get(self) -> None:
        """Go on."""
        self.redirect(self.base_url + FIRST_PAGE)


class HubIdentity(JupyterHubIdentityProvider):  # type: ignore[misc]
    """The Hub's login, which tells the desk the token that it found."""

    @default("hub_auth")
    def _default_hub_auth(self) -> HubOAuth:
        return HubOAuth(parent=self, cache_max_age=int(REMEMBERED_SECONDS))

    async def get_user(self, handler: JupyterHandler) -> User | None:
        """Return whom the Hub logged in."""
        user: Any = await super().get_user(handler)
        if user is not None:
            user.hub_token = self.hub_auth.get_token(handler) or ""
        return user  # type: ignore[no-any-return]

    def get_handlers(self) -> list[Any]:
        """Add the login to the Hub's own handlers."""
        return [*super().get_handlers(), ("/login", HubLogin)]
