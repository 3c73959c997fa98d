"""JupyterLab as a person sees it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from ..engines.jupyter import JupyterServer

PANEL_ID = "jupyter-ext-compute"

THEMES = [pytest.param("JupyterLab Light", marks=pytest.mark.slow), "JupyterLab Dark"]
"""To read the panel in. All other tests are in the light one, which so waits for the slow ones."""


@dataclass(frozen=True)
class Lab:
    """One tab with JupyterLab."""

    page: Page
    server: JupyterServer

    @classmethod
    def open(cls, page: Page, server: JupyterServer, *, workspace: str = "") -> Lab:
        """Log in with the token and wait until it is there, with the panel shown."""
        path = f"lab/workspaces/{workspace}" if workspace else "lab"
        for _ in range(3):
            page.goto(f"{server.url}{path}?token={server.token}&reset")
            page.locator("#jp-main-dock-panel").wait_for()
            page.locator(".jp-LabShell").wait_for()
            # The splash goes when all plugins are there and the layout is restored.
            page.locator("#jupyterlab-splash").wait_for(state="detached")
            # Chromium drops what it loads when a container's network comes or goes just then.
            if not page.get_by_role("dialog").filter(has_text="Error Loading Theme").count():
                break
        # The launcher takes the focus when its cards are there, a moment after all else.
        page.locator(".jp-Launcher .jp-LauncherCard").first.wait_for()
        page.wait_for_function("document.activeElement.closest('.jp-Launcher') !== null")
        lab = cls(page, server)
        lab.show_panel()
        return lab

    def show_panel(self) -> None:
        """Click the side bar's tab, unless the panel is shown already."""
        if not self.panel.is_visible():
            self.page.locator(f'.jp-SideBar [data-id="{PANEL_ID}"]').click()
        self.panel.wait_for()

    @property
    def panel(self) -> Locator:
        """The side panel."""
        return self.page.locator(f"#{PANEL_ID}")

    def row(self, name: str) -> Locator:
        """A container's row."""
        return self.panel.get_by_role("listitem", name=re.compile(rf"^{re.escape(name)}, "))

    def expect_status(self, name: str, status: str, seconds: float = 20) -> None:
        """Wait until a container's row tells this state."""
        row = self.panel.get_by_role("listitem", name=f"{name}, {status}", exact=True)
        expect(row).to_be_visible(timeout=1000 * seconds)

    def button(self, name: str) -> Locator:
        """A button of the panel."""
        return self.panel.get_by_role("button", name=name, exact=True)

    def field(self, label: str) -> Locator:
        """A text field of the form in the main area."""
        return self.page.locator(".jx-Form").get_by_label(label, exact=True)

    def choose(self, row: Locator, item: str) -> None:
        """Open a row's menu and choose."""
        row.get_by_role("button", name=re.compile("^More for")).click()
        self.page.get_by_role("menuitem", name=item, exact=True).click()

    def palette(self, words: str) -> None:
        """Run a command from the palette, by keyboard alone."""
        self.page.keyboard.press("Control+Shift+C")
        search = self.page.locator(".jp-ModalCommandPalette input")
        search.fill(words)
        self.page.locator(".lm-CommandPalette-item.lm-mod-active").wait_for()
        search.press("Enter")

    def tab(self, label: str) -> Locator:
        """A tab of the main area."""
        return self.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").filter(has_text=label)

    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.get_by_role("dialog")

    def answer(self, words: str, button: str) -> None:
        """Answer the dialog that says `words`, by keyboard alone."""
        expect(self.dialog()).to_contain_text(words)
        wanted = self.dialog().get_by_role("button", name=button)
        for _ in range(10):
            # As a person would: the dialog takes the focus once more when its body is rendered.
            self.page.wait_for_timeout(200)
            if wanted.evaluate("button => button === document.activeElement"):
                break
            self.page.keyboard.press("Tab")
        expect(wanted).to_be_focused()
        self.page.keyboard.press("Enter")


def set_setting(server: JupyterServer, plugin: str, **values: object) -> None:
    """Set a setting of one of JupyterLab's own plugins for whoever opens it next."""
    httpx.put(
        f"{server.url}lab/api/settings/@jupyterlab/{plugin}",
        headers={"Authorization": f"token {server.token}"},
        content=json.dumps({"raw": json.dumps(values)}),
        trust_env=False,
    ).raise_for_status()
