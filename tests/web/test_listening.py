"""Where pages are served, and what an operator sets of it."""

from __future__ import annotations

import secrets
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from jupyter_ext.api.services import Unaudited
from jupyter_ext.store import Store
from jupyter_ext.web.listener import Listener, tls_options
from jupyter_ext.web.manager import PageManager
from jupyter_ext.web.names import Names

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until
from .conftest import Person, origin_of
from .visitor import Visitor

pytestmark = pytest.mark.docker

Start = Callable[..., Person]


@pytest.fixture
def mine() -> str:
    """The name of a container that no other server of the engine has made."""
    return f"mine-{secrets.token_hex(4)}"


@pytest.fixture
def start(engine: Dockerd, make_server: Callable[..., JupyterServer], mine: str) -> Iterator[Start]:
    """Be the owner of a server of the test's own, with a container."""
    opened = []

    def be(**traits: Any) -> Person:
        server = make_server(docker_host=engine.url, config={"JupyterExt": traits})
        owner = Person("admin", server.client())
        opened.append(owner)
        body = {"name": mine, "image": "foreign:latest", "ports": {"8888/tcp": None}}
        owner.http.post("containers", json=body).raise_for_status()
        return owner

    yield be
    for owner in opened:
        owner.http.close()


def status(owner: Person) -> dict[str, Any]:
    found: dict[str, Any] = owner.http.get("status").json()
    return found


def test_a_port_that_is_taken_stops_nothing_else(start: Start, mine: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        owner = start(web_port=port)
        found = status(owner)
        assert found["services"]["pages"] == "stopped"
        [problem] = [each for each in found["problems"] if each["service"] == "pages"]
        assert f"127.0.0.1:{port}" in problem["what"]
        assert "web_port" in problem["cure"]
        refused = owner.open(mine)
        assert refused.status_code == 503
        assert problem["what"] in refused.json()["message"]


def test_they_can_be_turned_off(start: Start, mine: str) -> None:
    owner = start(web_port=None)
    assert status(owner)["services"]["pages"] == "off"
    refused = owner.open(mine)
    assert refused.status_code == 503
    assert "JupyterExt.web_port" in refused.json()["message"]


def test_names_of_the_operators_own(start: Start, mine: str, visitor: Visitor) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    owner = start(web_port=port, web_url="https://{name}.apps-example.org")
    # Whoever comes from elsewhere finds these.
    reply = owner.open(mine, host="gpu.lan")
    assert reply.status_code == 200
    link = reply.json()["data"]["url"]
    origin = origin_of(link)
    assert origin.endswith(".apps-example.org")

    def behind_proxy(url: str, **headers: str) -> httpx.Response:
        """Ask as a proxy does that keeps the name and ends TLS."""
        name = origin.removeprefix("https://")
        path = url.removeprefix(origin)
        return visitor.http.get(f"http://127.0.0.1:{port}{path}", headers={"Host": name, **headers})

    entered = behind_proxy(link)
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith("__Host-jupyter_ext_page=")
    assert "; Secure" in cookie
    session = cookie.partition(";")[0]

    def shown(cookie: str, **headers: str) -> httpx.Response:
        return behind_proxy(f"{origin}/said", Cookie=cookie, **headers)

    wait_until(lambda: shown(session).status_code == 200, "the page")
    headers = dict(shown(session, Origin=origin).json()["headers"])
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Origin"] == "http://localhost:8888"
    # A cookie that a neighbour could have set is none, nor does one of a neighbour's matter.
    assert shown(session.removeprefix("__Host-")).status_code == 401
    assert shown(f"__Host-jupyter_ext_page=of-mine; {session}").status_code == 200
    assert shown(session, Origin=origin.replace("https", "http")).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    ["https://apps.example.org", "https://{name}.example.org/path", "{name}.example.org"]
    + ["https://apps.{name}.org", "ftp://{name}.example.org", "https://{name}"],
)
def test_a_wrong_template_is_refused_at_the_start(wrong: str) -> None:
    from traitlets import TraitError

    from jupyter_ext.app import JupyterExt

    with pytest.raises(TraitError, match="web_url"):
        JupyterExt(web_url=wrong)


async def test_tls_is_the_servers_own(store: Store, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    assert tls_options(None, "", "") is None
    listener = Listener(
        PageManager(store, cast(Any, None), Names(), 60),
        address="127.0.0.1",
        port=0,
        ssl_options=tls_options({}, str(certificate), str(key)),
        secure=True,
        body_limit=1,
        trust_proxy=False,
        audit=Unaudited(),
    )
    listener.start()
    try:
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as http:
            reply = await http.get(f"https://127.0.0.1:{listener.port}/")
        assert reply.status_code == 404
        assert "Nothing is served under this name" in reply.text
    finally:
        await listener.stop()


def test_a_second_server_of_the_home_opens_the_desks(
    make_server: Callable[..., JupyterServer], engine: Dockerd, mine: str, tmp_path: Path
) -> None:
    desk = make_server(docker_host=engine.url, home=tmp_path / "shared")
    other = make_server(docker_host=engine.url, home=tmp_path / "shared")
    owner = Person("admin", desk.client())
    body = {"name": mine, "image": "foreign:latest", "ports": {"8888/tcp": None}}
    owner.http.post("containers", json=body).raise_for_status()
    there = Person("admin", other.client(headers={"X-API-Key": desk.key()}))
    first, second = owner.link(mine), there.link(mine)
    assert origin_of(first) == origin_of(second)
    owner.http.close()
    there.http.close()


def test_the_command_line_prints_a_link(
    make_server: Callable[..., JupyterServer], engine: Dockerd, mine: str, visitor: Visitor
) -> None:
    server = make_server(docker_host=engine.url)
    server.pig("container", "run", "--name", mine, "-p", "8888", "foreign:latest")
    link = server.pig("-q", "container", "open", mine).strip()
    assert visitor.follow(link).status_code == 303
    wait_until(lambda: visitor(f"{origin_of(link)}/x").status_code == 200, "the page")
