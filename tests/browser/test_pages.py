"""A container's page in a real browser, beside Jupyter's: neither reaches the other."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer, jupyter_server
from ..engines.python_image import load_foreign_server
from ..engines.scratch import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.docker]

IMAGE = "foreign:latest"


@pytest.fixture(scope="module")
def server(docker_engine: Dockerd) -> Iterator[JupyterServer]:
    load_foreign_server(docker_engine, IMAGE)
    with jupyter_server(docker_host=docker_engine.url) as running:
        with running.client() as client:
            ports = {"8888/tcp": None, "6006/tcp": None}
            body = {"name": "web", "image": IMAGE, "ports": ports}
            made = client.post("containers", json=body).raise_for_status().json()["data"]
        address = f"http://127.0.0.1:{made['ports']['8888/tcp']}/"
        wait_until(lambda: _serves(address), "the container's server")
        yield running
        docker_engine.clean()


def _serves(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def link(server: JupyterServer, service: str) -> str:
    with server.client() as client:
        reply = client.post("containers/web/open", json={"service": service})
        return str(reply.raise_for_status().json()["data"]["url"])


@pytest.fixture
def jupyter(server: JupyterServer, context: BrowserContext) -> Page:
    """A page of Jupyter's own, logged in, under the name whose subdomains are the pages'."""
    page = context.new_page()
    root = server.url.replace("127.0.0.1", "localhost")
    page.goto(f"{root}tree?token={server.token}")
    # A page that sets the cookie that scripts may read.
    page.goto(f"{root}login")
    assert "_xsrf" in page.evaluate("document.cookie")
    return page


def opened(server: JupyterServer, jupyter: Page, service: str) -> Page:
    """Open a page as the panel does."""
    with jupyter.expect_popup() as popup:
        jupyter.evaluate("url => { window.popup = window.open(url) }", link(server, service))
    page = popup.value
    page.get_by_role("heading", name="inside").wait_for()
    return page


def test_it_is_shown_and_talks(server: JupyterServer, jupyter: Page) -> None:
    page = opened(server, jupyter, "jupyter")
    parts = urlsplit(page.url)
    assert (parts.hostname or "").endswith(".localhost")
    assert (parts.path, parts.query) == ("/", "")
    talked = page.evaluate(
        """() => new Promise((done, fail) => {
            const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws')
            let first = true
            socket.onerror = fail
            socket.onmessage = message => {
                if (first) { first = false; socket.send('a word') } else done(message.data)
            }
        })"""
    )
    assert talked == "a word"
    said = page.evaluate("fetch('/said', {method: 'POST', body: 'x'}).then(reply => reply.json())")
    assert said["body"] == "x"
    assert "cookie" not in {name.lower() for name, _ in said["headers"]}


def test_it_reaches_nothing_of_jupyters(server: JupyterServer, jupyter: Page) -> None:
    page = opened(server, jupyter, "jupyter")
    before = jupyter.evaluate("document.cookie")
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("window.opener") is None
    root = server.url.replace("127.0.0.1", "localhost")
    tried = page.evaluate(
        """url => fetch(url, {credentials: 'include'}).then(() => 'read', () => 'refused')""",
        f"{root}api/contents",
    )
    assert tried == "refused"
    page.evaluate(
        """() => {
            document.cookie = '_xsrf=forged; domain=localhost; path=/'
            document.cookie = 'user_token=forged; domain=.localhost; path=/'
        }"""
    )
    assert jupyter.evaluate("document.cookie") == before
    names = {cookie["name"] for cookie in jupyter.context.cookies(root)}
    assert "user_token" not in names


def test_one_page_makes_no_request_in_anothers_name(server: JupyterServer, jupyter: Page) -> None:
    page, other = (opened(server, jupyter, name) for name in ("jupyter", "tensorboard"))
    count = "fetch('/uploads').then(reply => reply.json()).then(said => said.uploads.length)"
    before = page.evaluate(count)
    origin = page.evaluate("location.origin")
    other.evaluate(
        """url => fetch(url, {
            method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x'
        }).catch(() => null)""",
        f"{origin}/upload",
    )
    assert page.evaluate(count) == before
    opened_socket = other.evaluate(
        """url => new Promise(done => {
            const socket = new WebSocket(url)
            socket.onopen = () => done('open')
            socket.onerror = () => done('refused')
        })""",
        f"{origin.replace('http', 'ws')}/ws",
    )
    assert opened_socket == "refused"
    # Its own is taken, so that the count above means something.
    page.evaluate("fetch('/upload', {method: 'POST', body: 'x'})")
    assert page.evaluate(count) == before + 1
