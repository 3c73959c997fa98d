"""``jupyter ext serve``: the desk of a team, a Jupyter server that runs nobody's code.

As a service of a JupyterHub it finds its address, its path and its login in the environment that
the Hub gives its services.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.auth import PasswordIdentityProvider
from jupyter_server.serverapp import ServerApp
from traitlets import default

from .no_files import NoFiles


def under_hub() -> bool:
    """Whether this process is a service that a JupyterHub puts behind its proxy."""
    needed = ("JUPYTERHUB_API_URL", "JUPYTERHUB_SERVICE_NAME", "JUPYTERHUB_SERVICE_URL")
    return all(os.environ.get(name) for name in needed)


class DeskServer(ServerApp):
    """A Jupyter server with its login and this extension; nothing executes or reads files."""

    # Under a hub every user logs in here: none of them may shut it down.
    default_services = ("api", "auth", "security")  # type: ignore[assignment]

    @default("jpserver_extensions")
    def _default_extensions(self) -> dict[str, bool]:
        return {"jupyter_ext": True}

    @default("contents_manager_class")
    def _default_contents(self) -> type[NoFiles]:
        return NoFiles

    @default("default_url")
    def _default_page(self) -> str:
        return "/login" if self._hub_login else "/api/v1/docs"

    @default("open_browser")
    def _default_open_browser(self) -> bool:
        return False

    # -- as a service of a JupyterHub --------------------------------------------------------------

    @default("ip")
    def _default_ip(self) -> str:
        return (_service_url().hostname or "") if under_hub() else super()._default_ip()

    @default("port")
    def _port_default(self) -> int:
        return (_service_url().port or 80) if under_hub() else super()._port_default()

    @default("port_retries")
    def _port_retries_default(self) -> int:
        # The Hub's proxy and the users' servers know one address.
        return 0 if under_hub() else super()._port_retries_default()

    @default("base_url")
    def _default_base_url(self) -> str:
        return os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or "/"

    @default("allow_remote_access")
    def _default_allow_remote(self) -> bool:
        # The Hub's proxy passes the name on that it is called by.
        return under_hub() or super()._default_allow_remote()

    @default("trust_xheaders")
    def _default_trust(self) -> bool:
        return under_hub()

    @default("identity_provider_class")
    def _default_identity(self) -> type[Any]:
        if self._hub_login:
            from .hub_login import HubIdentity

            return HubIdentity
        return PasswordIdentityProvider

    @property
    def _hub_login(self) -> bool:
        return under_hub() and find_spec("jupyterhub") is not None

    def initialize(  # type: ignore[override]
        self, argv: list[str] | None = None, **_: Any
    ) -> None:
        """Load this extension and no other."""
        super().initialize(argv, find_extensions=False)
        if self._hub_login:
            # JupyterHub's check comes after its login; Tornado's own comes before, and refuses
            # every token.
            self.web_app.settings["xsrf_cookies"] = False
        elif under_hub():
            self.log.warning(
                "Browsers can't log in to this desk by the JupyterHub: its package is missing "
                "here. `pip install 'jupyter-ext[hub]'`"
            )


def _service_url() -> Any:
    return urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])


def serve(argv: list[str] | None = None) -> None:
    """Run until it is stopped.

    Parameters
    ----------
    argv
        As for ``jupyter server``: ``--port``, ``--ip``, ``--JupyterExt.store_url``.
    """
    DeskServer.launch_instance(argv)
