"""The way from a server that forwards to the desk."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import Unauthenticated
from .lock import find_desk, write_private

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0


class RemoteDesk:
    """Where the desk is, and what names the caller to it.

    Parameters
    ----------
    home
        The home whose desk it is; None where `url` was configured.
    url
        ``JupyterExt.desk_url``; empty to find the desk by the home's announcement.
    key_file
        ``JupyterExt.desk_key_file``: the key of this server's owner, where no hub names them.
    lost
        Called when the desk does not answer: it may have ended, and this server may have to become
        the desk.
    """

    def __init__(
        self,
        *,
        home: Path | None,
        url: str = "",
        key_file: str = "",
        lost: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._key_file = str(Path(key_file).expanduser()) if key_file else None
        self._home = home
        self._url = url.rstrip("/") + "/" if url else ""
        self._lost = lost
        self._written: Path | None = None

    @property
    def url(self) -> str:
        """The desk's address with its base URL, ending with a slash."""
        if self._url:
            return self._url
        found = find_desk(self._home) if self._home else None
        return found.url if found else "http://127.0.0.1:0/"

    @property
    def token_file(self) -> str | None:
        """Where the key of this server's owner lies; None where there is none."""
        if self._url:
            return self._key_file
        found = find_desk(self._home) if self._home else None
        return found.token_file if found else None

    @property
    def base_path(self) -> str:
        """The desk's base URL."""
        return urlsplit(self.url).path or "/"

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """Return the connections to the desk; long replies take as long as they take."""
        import httpx

        return httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            # Everybody's requests pass here: what one is given must never be sent for another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    async def credential(self) -> dict[str, str]:
        """Return the header that names a user whom Jupyter logged in.

        Raises
        ------
        Unauthenticated
            This server has nothing that the desk believes.
        """
        if hub_token := self._hub_token:
            return {"Authorization": f"token {hub_token}"}
        token_file = self.token_file
        if token_file is not None:
            with suppress(OSError):
                return {"X-API-Key": Path(token_file).read_text(encoding="ascii").strip()}
        raise Unauthenticated(
            f"The desk at {self.url} does not know Jupyter's login. "
            "Put an API key of the desk (`pig api key create --name NAME` there makes one) into a "
            "file, and name it as JupyterExt.desk_key_file; or send it as X-API-Key."
        )

    @property
    def _hub_token(self) -> str | None:
        """What names this server's user to a desk that is a service of the same JupyterHub."""
        return os.environ.get("JUPYTERHUB_API_TOKEN") if self._url else None

    def kernels_file(self, folder: Path) -> str | None:
        """Return the file with what kernels and terminals of this server say to it, if any.

        Under a JupyterHub that is the Hub's token of this server, which they have in their
        environment anyhow (so has Jupyter's own ``jpserver-*.json`` beside it): it is their
        user's, opens this server, and ends with it. A key of the desk beside it would be one more
        secret that opens less and lives longer.

        Parameters
        ----------
        folder
            Jupyter's runtime folder, the user's own.
        """
        if not (hub_token := self._hub_token):
            return self.token_file
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._written = folder / f"jupyter_ext-{os.getpid()}.token"
        write_private(self._written, hub_token)
        return str(self._written)

    async def lost(self) -> None:
        """Say that the desk did not answer."""
        if self._lost is not None:
            await self._lost()

    async def close(self) -> None:
        """Close the connections, and take back what kernels had."""
        if self._written is not None:
            self._written.unlink(missing_ok=True)
        if "client" in self.__dict__:
            await self.client.aclose()
