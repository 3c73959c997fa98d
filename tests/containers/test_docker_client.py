"""The library's client: what it raises where there is no connection."""

from __future__ import annotations

import socket

import pytest

from jupyter_ext.containers.docker_client import EngineClient, fault_of


class Cut:
    """A dialer whose connection ends before it is there."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def connect(self, timeout: float) -> socket.socket:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(32, "Broken pipe"),
        ConnectionResetError(104, "Connection reset by peer"),
        ConnectionRefusedError(111, "Connection refused"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_ends_while_it_is_made_is_told(error: OSError) -> None:
    client = EngineClient(Cut(error), lambda: "1.41")  # type: ignore[arg-type]
    client.begin(1)
    with pytest.raises(Exception) as raised:
        client.ping()
    fault = fault_of(raised.value)
    assert isinstance(fault, OSError)
    assert str(error.strerror) in str(fault)
