"""Where this server is, for its own machine and behind a proxy."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to

_log = logging.getLogger(__name__)


def own_url(server: ServerApp) -> str:
    """Return where a process of this machine reaches a server, ending with a slash."""
    ip = "127.0.0.1" if server.ip in (*WILDCARDS, "localhost") else server.ip
    scheme = "https" if server.certfile else "http"
    host = f"[{ip}]" if ":" in ip else ip
    return f"{scheme}://{host}:{server.port}{server.base_url}"


def check_proxy(server: ServerApp) -> None:
    """Warn where a JupyterHub's proxy hides all clients."""
    if os.environ.get("JUPYTERHUB_SERVICE_PREFIX") and not server.trust_xheaders:
        _log.warning(
            "Behind JupyterHub's proxy all clients seem to be at its address, in limits and logs: "
            "set c.ServerApp.trust_xheaders = True"
        )
