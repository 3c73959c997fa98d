"""JupyterLab of a hub's user, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from ..browser.lab import PANEL_ID
from ..engines.hub import PASSWORD, Hub
from ..engines.hub_browser import Browser
from .asking import CONTAINERS

pytestmark = [pytest.mark.hub, pytest.mark.docker, pytest.mark.timeout(240)]


@pytest.mark.browser
def test_the_panel_shows_what_is_ones_own(
    hub: Hub, alice: Browser, boxes: dict[str, str], browser: Chromium
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(40_000)
    page = context.new_page()
    page.goto(f"{hub.url}hub/login?next=/user/{alice.name}/lab")
    page.locator("input[name=username]").fill(alice.name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[type=submit], button[type=submit]").first.click()
    page.locator(".jp-LabShell").wait_for()
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    page.locator(f'.jp-SideBar [data-id="{PANEL_ID}"]').click()
    panel = page.locator(f"#{PANEL_ID}")
    expect(panel.get_by_role("listitem", name="hers, running", exact=True)).to_be_visible()
    alice.fetch("POST", f"{CONTAINERS}/hers/stop")
    expect(panel.get_by_role("listitem", name="hers, exited", exact=True)).to_be_visible()
    assert panel.get_by_role("listitem", name=re.compile("^his,")).count() == 0
    alice.fetch("POST", f"{CONTAINERS}/hers/start")
    context.close()
