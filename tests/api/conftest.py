"""A real server without an engine: what the edge does needs none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from ..engines import jupyter
from .house import dial, house, port, url

__all__ = ["dial", "house", "port", "url"]

UNLIMITED = {
    name: {"amount": 0} for name in ("piglet", "containers", "voidvm", "metadata", "matrix")
}
PASSWORD = "correct horse"
ALICE = {"username": "alice", "password": "wonderland"}
ADMIN = {"username": "admin", "password": PASSWORD}


@pytest.fixture(scope="session")
def edge() -> Iterator[jupyter.JupyterServer]:
    """A server whose limits are off, so that tests don't meet each other's."""
    with jupyter.jupyter_server(config={"JupyterExt": {"rate_limits": UNLIMITED}}) as server:
        yield server


@pytest.fixture(scope="session")
def limited() -> Iterator[jupyter.JupyterServer]:
    """A server with the documented limits."""
    with jupyter.jupyter_server() as server:
        yield server


@pytest.fixture(scope="session")
def open_house() -> Iterator[jupyter.JupyterServer]:
    """A server that people register and log in at, without any limit; Alice has an account."""
    config = {
        "JupyterExt": {
            "rate_limits": {**UNLIMITED, "logins": {"amount": 0}},
            "registration": "open",
            "admin_password": PASSWORD,
        }
    }
    with jupyter.jupyter_server(config=config) as server:
        with server.client() as admin:
            admin.post("users", json=ALICE).raise_for_status()
        yield server


@pytest.fixture
def anonymous(edge: jupyter.JupyterServer) -> Iterator[httpx.Client]:
    """A client without any credential."""
    with httpx.Client(base_url=edge.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def admin(edge: jupyter.JupyterServer) -> Iterator[httpx.Client]:
    """A client with the administrator's API key."""
    with edge.client() as client:
        yield client


@contextmanager
def browser(server: jupyter.JupyterServer) -> Iterator[httpx.Client]:
    """A client that logged in as a browser does: by cookie, with Jupyter's XSRF token at hand."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        # The login page sets `_xsrf`; the first visit with the token sets the login cookie.
        client.get("login").raise_for_status()
        client.get("api/status", params={"token": server.token}).raise_for_status()
        yield client


def user_key(server: jupyter.JupyterServer, name: str, **more: object) -> str:
    """Make a user, unless there is one, and return a new API key of theirs."""
    with server.client() as admin:
        made = admin.post("users", json={"username": name, "password": "secret pass", **more})
        assert made.status_code in (201, 409), made.text
    return server.user_key(name)
