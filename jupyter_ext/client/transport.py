"""What both clients tell their HTTP library."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import httpx

from .._version import __version__
from .discovery import Server
from .flow import Reply, Request

HEARTBEAT_TIMEOUT = 50.0
"""Seconds of silence after which a stream counts as broken; the server says something every 15."""

socket_log = logging.getLogger("jupyter_ext.client.socket")
# At DEBUG, websockets logs every header of its handshake, and so the key.
socket_log.setLevel(logging.INFO)

USER_AGENT = f"jupyter-ext/{__version__}"

LANGUAGE = {"Accept-Language": "en"}
"""Of what the server says: commands and magics speak English themselves."""


def options(server: Server, timeout: float, verify: bool | str) -> dict[str, Any]:
    """Return the arguments of an httpx client."""
    return {
        "timeout": httpx.Timeout(timeout, connect=min(timeout, 5.0)),
        "headers": {"User-Agent": USER_AGENT, **LANGUAGE},
        "verify": ssl_context(verify) or False if server.url.startswith("https") else False,
        # A proxy of the environment is for the internet; it can't reach this machine's loopback.
        "trust_env": not server.is_local,
        # Redirects would carry the key to wherever they lead.
        "follow_redirects": False,
    }


def ssl_context(verify: bool | str) -> ssl.SSLContext | None:
    """Return what certificates are checked with; None checks none."""
    if verify is False:
        return None
    return ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)


def socket_options(server: Server, verify: bool | str) -> dict[str, Any]:
    """Return the arguments of a WebSocket's connection."""
    found: dict[str, Any] = {
        "additional_headers": {**LANGUAGE, **server.credential.headers()},
        "user_agent_header": USER_AGENT,
        "open_timeout": 10,
        "max_size": 16 << 20,
        "logger": socket_log,
    }
    if server.is_local:
        found["proxy"] = None
    if server.url.startswith("https"):
        context = ssl_context(verify)
        if context is None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        found["ssl"] = context
    return found


def answer_of(response: httpx.Response) -> Reply:
    """Return a reply as the flows read it."""
    return Reply(response.status_code, response.content, response.headers)


def retriable(error: httpx.TransportError, request: Request) -> bool:
    """Whether a request that failed so may be sent again."""
    return request.repeatable and isinstance(
        error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError
    )


def reset_delay(delay: float, lived: float) -> float:
    """Return the seconds to wait before connecting again: short after a long life, then growing."""
    return 0.2 if lived > 30 or not delay else min(delay * 2, 10.0)
