"""A connection that stays open is worth what its credential is worth now, not when it began."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..accounts.schemas import Credential
from ..errors import Forbidden, NotFound, PlatformError, Unauthenticated

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

    from .authentication import Authenticator

RECHECK_SECONDS = 1.0
"""Between two looks; a look is one SHA-256 and one find in a dictionary."""


async def lapsed(
    authenticator: Authenticator,
    handler: JupyterHandler,
    credential: Credential,
    key: str | None = None,
) -> PlatformError:
    """Wait until a credential is revoked, or its account disabled, deleted or changed.

    Parameters
    ----------
    key
        What was sent; by default what the request's headers carry.

    Returns
    -------
    PlatformError
        What the client shall hear.
    """
    if credential.kind in ("api-key", "jwt") and key is None:
        key = authenticator.sent(handler)
    while True:
        await asyncio.sleep(RECHECK_SECONDS)
        try:
            if key is not None:
                now: Credential | None = await authenticator.bearer(key)
            elif credential.kind == "cookie":
                now = await authenticator.adopt_cookie(handler)
            else:
                now = await authenticator.adopt_jupyter(handler)
        except (Unauthenticated, Forbidden, NotFound) as error:
            # An owner who is not found has been deleted.
            return error if not isinstance(error, NotFound) else Unauthenticated(error.message)
        except PlatformError:
            # A store that does not answer now proves nothing against the credential.
            continue
        if now is None or now.account != credential.account or now.scopes != credential.scopes:
            return Unauthenticated("What your account or key may do has changed. Connect again.")
