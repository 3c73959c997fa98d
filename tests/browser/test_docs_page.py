"""The page to try the API at: it works without the internet, and with Jupyter's own login."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from ..engines import jupyter

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server() -> Iterator[jupyter.JupyterServer]:
    """A server without an engine."""
    if not (jupyter.ROOT / "jupyter_ext" / "api" / "static" / "swagger-ui-bundle.js").exists():
        pytest.fail("the page's files are not built: scripts/panel.sh build", pytrace=False)
    with jupyter.jupyter_server() as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: jupyter.JupyterServer) -> Iterator[Page]:
    """A tab that fails the test when it asks another host, or breaks the page's own policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    problems: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((server.url, "data:")):
            problems.append(request.url)

    tab.on("request", asked)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on(
        "console",
        lambda message: (
            problems.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield tab
    context.close()
    assert problems == []


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_every_operation_is_there(page: Page, server: jupyter.JupyterServer, path: str) -> None:
    page.goto(server.api + path)
    for word in ("/api/v1/containers/{ref}/start", "Everything that changes"):
        expect(page.get_by_text(word, exact=False).first).to_be_visible()
    expect(page.get_by_role("button", name="Authorize")).to_be_visible()


def test_a_key_in_a_header_opens_what_is_tried(page: Page, server: jupyter.JupyterServer) -> None:
    page.goto(server.api + "/docs")
    page.get_by_role("button", name="Authorize").click()
    form = page.locator(".auth-container", has_text="X-API-Key")
    form.get_by_role("textbox").fill(server.key())
    form.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").last.click()
    block = page.locator(".opblock", has_text="/api/v1/api-keys").first
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/api-keys*") as answer:
        block.get_by_role("button", name="Execute").click()
    assert answer.value.status == 200
    assert server.key() not in answer.value.url
    assert answer.value.request.headers["x-api-key"] == server.key()


def test_jupyters_login_opens_what_is_tried(page: Page, server: jupyter.JupyterServer) -> None:
    page.goto(f"{server.url}login")
    page.goto(f"{server.url}api/status?token={server.token}")
    page.goto(server.api + "/docs")
    block = page.locator(".opblock-post", has_text="/api/v1/api-keys")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    block.locator("textarea").fill('{"name": "from the page"}')
    with page.expect_response("**/api-keys") as answer:
        block.get_by_role("button", name="Execute").click()
    # Without Jupyter's XSRF token a cookie may change nothing.
    assert answer.value.status == 201
    assert answer.value.request.headers["x-xsrftoken"]
