"""Services in the panel's Admin view: acted on, read, opened."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from ..engines import jupyter
from ..engines.jupyter import JupyterServer
from ..services.test_over_http import config
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting
from .test_people import readable, view

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server() -> Iterator[JupyterServer]:
    with jupyter.jupyter_server(lab=True, config=config(warning_seconds=1)) as running:
        yield running


def expect_service(lab: Lab, name: str, word: str) -> None:
    row = lab.panel.get_by_role("listitem", name=f"{name}, {word}", exact=True)
    expect(row).to_be_visible(timeout=20_000)


@pytest.mark.parametrize("theme", THEMES)
def test_administrator_starts_reads_and_opens_services(
    theme: str, open_lab: OpenLab, server: JupyterServer
) -> None:
    set_setting(server, "apputils-extension:themes", theme=theme)
    lab = open_lab(server)
    view(lab, "Admin")
    expect_service(lab, "jupyter", "running")
    expect_service(lab, "vscode", "stopped")
    lab.button("Start vscode").click()
    expect_service(lab, "vscode", "running")
    lab.button("Logs of vscode").click()
    log = lab.page.locator(".jx-ServiceLog")
    expect(log).to_contain_text("the editor begins")
    expect(log).to_contain_text("token=[hidden]")
    lab.page.get_by_role("button", name="Close", exact=True).click()
    readable(lab.panel.locator(".jx-Service"))

    with lab.page.context.expect_page() as opened:
        lab.button("Open vscode").click()
    page = opened.value
    expect(page.locator("body")).to_contain_text("code-server-session=secret")
    assert re.match(r"http://vscode-[0-9a-f]{8}\.localhost:", page.url)
    page.close()
    lab.button("Stop vscode").click()
    expect_service(lab, "vscode", "stopped")

    # The end of all kernels is asked for twice.
    lab.button("Restart jupyter").click()
    asked = lab.page.get_by_role("dialog")
    expect(asked).to_contain_text("kernels are shut down")
    asked.get_by_role("button", name="Cancel").click()
    expect_service(lab, "jupyter", "running")
