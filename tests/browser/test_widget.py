"""The widget and the magics in a notebook, beside the side panel."""

from __future__ import annotations

from typing import Any

import nbformat as untyped_nbformat
import pytest
from playwright.sync_api import Locator, expect

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from .conftest import OpenLab

pytestmark = [pytest.mark.browser, pytest.mark.docker]

nbformat: Any = untyped_nbformat

CELLS = ["%load_ext jupyter_ext\npanel = ContainersPanel()\npanel"]


def write(server: JupyterServer, name: str, cells: list[str]) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(notebook, server.folder / name)


def field(widget: Locator, label: str) -> Locator:
    return widget.get_by_label(label, exact=True).filter(visible=True)


def test_the_widget_and_the_side_panel_show_the_same(
    open_lab: OpenLab, lab_server: JupyterServer, engine: Dockerd
) -> None:
    write(lab_server, "widget.ipynb", CELLS)
    lab = open_lab(lab_server)
    page = lab.page
    page.goto(f"{lab_server.url}lab/tree/widget.ipynb")
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.keyboard.press("Shift+Enter")
    widget = page.locator(".jp-OutputArea-output .widget-vbox").first
    expect(widget.get_by_text("No containers yet")).to_be_visible(timeout=30_000)

    widget.get_by_role("button", name="New container").click()
    widget.get_by_role("button", name="Start", exact=True).click()
    expect(widget.get_by_text("This is needed.")).to_have_count(2)
    field(widget, "Image").fill("busybox:latest")
    field(widget, "Name").fill("by-widget")
    field(widget, "Command").fill("sh -c 'while true; do echo tick; sleep 1; done'")
    widget.get_by_role("button", name="Start", exact=True).click()
    expect(widget.get_by_title("Stop by-widget")).to_be_visible(timeout=20_000)
    lab.show_panel()
    lab.expect_status("by-widget", "running")

    widget.get_by_title("Logs of by-widget").click()
    expect(widget.locator("pre")).to_contain_text("tick\ntick")
    expect(widget.locator("svg polyline").first).to_be_visible(timeout=20_000)

    widget.get_by_title("Stop by-widget").click()
    expect(widget.get_by_title("Start by-widget")).to_be_visible(timeout=20_000)
    lab.expect_status("by-widget", "exited")

    widget.get_by_title("Delete by-widget").click()
    widget.get_by_role("button", name="Keep").click()
    widget.get_by_title("Delete by-widget").click()
    widget.get_by_role("button", name="Delete", exact=True).click()
    expect(widget.get_by_text("No containers yet")).to_be_visible(timeout=20_000)
    expect(lab.row("by-widget")).to_have_count(0)
