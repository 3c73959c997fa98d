"""Opening WebSockets, sync and async, with refusals told as errors of our tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ..errors import PlatformError, Unavailable, error_for_status
from .discovery import Server
from .flow import unreachable
from .replies import decode, error_from, rebuild
from .transport import socket_options

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection as AsyncConnection
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import ClientConnection

Parameters = Sequence[tuple[str, str]]


def address(server: Server, path: str, parameters: Parameters = ()) -> str:
    """Return the URL of a socket."""
    return server.socket_address(path) + (f"?{urlencode(parameters)}" if parameters else "")


def connect(
    server: Server, path: str, parameters: Parameters = (), verify: bool | str = True
) -> ClientConnection:
    """Open a socket and wait until it is there."""
    from websockets.exceptions import InvalidHandshake, InvalidStatus
    from websockets.sync.client import connect as open_socket

    while True:
        try:
            where = address(server, path, parameters)
            # Entered here, left by whoever closes it: versions differ in what an unentered one is.
            opened: ClientConnection = open_socket(
                where, **socket_options(server, verify)
            ).__enter__()
            return opened
        except InvalidStatus as error:
            if error.response.status_code == 401 and server.credential.reload():
                continue
            raise refusal(error) from None
        except (OSError, InvalidHandshake, EOFError) as error:
            raise unreachable(server, error) from error


async def connect_async(
    server: Server, path: str, parameters: Parameters = (), verify: bool | str = True
) -> AsyncConnection:
    """Open a socket."""
    from websockets.asyncio.client import connect as open_socket
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    while True:
        try:
            return await open_socket(
                address(server, path, parameters), **socket_options(server, verify)
            )
        except InvalidStatus as error:
            if error.response.status_code == 401 and server.credential.reload():
                continue
            raise refusal(error) from None
        except (OSError, InvalidHandshake, EOFError) as error:
            raise unreachable(server, error) from error


def refusal(error: InvalidStatus) -> PlatformError:
    """Return the error that a refused handshake tells of."""
    response = error.response
    body = decode(response.body) if response.body else None
    return error_from(
        response.status_code,
        body,
        {name.lower(): value for name, value in response.headers.items()},
    )


def closing(error: ConnectionClosed) -> PlatformError:
    """Return the error that the end of a socket tells of: its code is 4000 and an HTTP status."""
    reason = error.rcvd.reason if error.rcvd else ""
    kind = error_for_status((error.rcvd.code if error.rcvd else 0) - 4000)
    if kind is not PlatformError:
        return rebuild(kind, reason or "The server ended the connection.")
    return Unavailable(
        f"The connection ended: {reason or 'the server went away'}.", "Try it again."
    )
