"""The `docker` library, without the ssh of its own.

It imports paramiko wherever that is installed, which takes a tenth of a second and ten megabytes
of every server. Engines behind ssh are reached by `docker_ssh`, which imports it when it is needed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

_SSH = "docker.transport.sshconn"

_first = "docker" not in sys.modules
if _first:
    # What is None here can't be imported, and the library is content with that.
    sys.modules[_SSH] = None  # type: ignore[assignment]
try:
    import docker
    import docker.api.client
    import docker.errors
finally:
    if _first:
        sys.modules.pop(_SSH, None)


def _ssh_adapter(*arguments: Any, **options: Any) -> Any:
    """Stand in for the class, for others of this process who use the library."""
    return import_module(_SSH).SSHHTTPAdapter(*arguments, **options)


if _first:
    docker.api.client.SSHHTTPAdapter = _ssh_adapter

__all__ = ["docker"]
