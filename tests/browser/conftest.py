"""JupyterLab in Chromium, with the real token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from ..engines import jupyter, require
from ..engines.dockerd import Dockerd
from .lab import Lab, set_setting

# Words of the browser and of JupyterLab that say nothing of ours.
HARMLESS = re.compile(
    r"favicon|ERR_NETWORK_CHANGED|GPU|WebGL|DevTools|third-party cookie"
    r"|Failed to load resource.*(400|403|404|409|503)|preload|lsp|ResizeObserver"
    r"|api/(?:contents|sessions|kernels)",
    re.IGNORECASE,
)

OpenLab = Callable[..., Lab]


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> Iterator[None]:
    """No loop of pytest-jupyter's: Playwright runs its own in this thread."""
    yield


@pytest.fixture(autouse=True)
def jp_server_cleanup(jp_asyncio_loop: None) -> Iterator[None]:
    """Nothing to clean up: no server runs in this process."""
    yield


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without what it would otherwise ask the internet."""
    program = require.program("browser", "chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program,
            chromium_sandbox=False,
            args=[
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
            ],
        )
        yield running
        running.close()


@pytest.fixture(scope="package")
def lab_server(docker_engine: Dockerd) -> Iterator[jupyter.JupyterServer]:
    """JupyterLab with the panel, on the session's engine."""
    if not (jupyter.PANEL / "package.json").exists():
        pytest.fail("the panel is not built: scripts/panel.sh build", pytrace=False)
    with jupyter.jupyter_server(docker_host=docker_engine.url, lab=True) as server:
        # Its question about news takes the focus from whatever a test is typing in.
        set_setting(server, "apputils-extension:notification", fetchNews="false")
        yield server


@pytest.fixture
def engine(docker_engine: Dockerd) -> Iterator[Dockerd]:
    """The engine without containers, before and after."""
    docker_engine.clean()
    yield docker_engine
    docker_engine.clean()


@pytest.fixture
def open_lab(
    browser: Browser, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenLab]:
    """Open JupyterLab in tabs of one new browser profile: ``open_lab(server)``.

    A test that fails leaves screenshots in ``test-results``; errors on the console fail it.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(20_000)
    errors: list[str] = []

    def listen(page: Page) -> None:
        def heard(message: ConsoleMessage) -> None:
            if message.type == "error" and not HARMLESS.search(message.text):
                errors.append(message.text)

        page.on("console", heard)
        page.on("pageerror", lambda error: errors.append(str(error)))

    def open_tab(server: jupyter.JupyterServer, **options: str) -> Lab:
        page = context.new_page()
        listen(page)
        return Lab.open(page, server, **options)

    # For tests that change the profile before a tab is opened.
    open_tab.context = context  # type: ignore[attr-defined]
    failures = request.session.testsfailed
    yield open_tab
    failed = request.session.testsfailed > failures or _failed(request)
    if failed:
        folder = Path(jupyter.ROOT / "test-results")
        folder.mkdir(exist_ok=True)
        for number, page in enumerate(context.pages):
            page.screenshot(path=folder / f"{request.node.name}-{number}.png")
    context.close()
    assert not errors, "\n".join(errors)


def _failed(request: pytest.FixtureRequest) -> bool:
    report = getattr(request.node, "report_of_call", None)
    return report is not None and report.failed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Let fixtures know how the test itself ended."""
    report = yield
    if call.when == "call":
        item.report_of_call = report  # type: ignore[attr-defined]
    return report
