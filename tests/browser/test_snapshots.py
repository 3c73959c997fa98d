"""Snapshots in the panel: taken, gone back to after what is replaced was read, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from ..api.conftest import UNLIMITED
from ..engines import jupyter, require
from ..engines.jupyter import JupyterServer
from ..snapshots.conftest import taken
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting
from .test_devices import OVERFLOWING, narrow
from .test_people import readable, submit, view

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

NARROW = 300


@pytest.fixture(scope="module")
def server() -> Iterator[JupyterServer]:
    """A server with files, and neither an engine nor databases."""
    require.program("restic", "restic")
    config = {"JupyterExt": {"rate_limits": UNLIMITED}}
    with jupyter.jupyter_server(config=config, lab=True) as running:
        set_setting(running, "apputils-extension:notification", fetchNews="false")
        (running.folder / "note.txt").write_text("one")
        yield running
        print(running.log[-6000:])


def rows(lab: Lab) -> Locator:
    return lab.panel.locator(".jx-Snapshot")


def told(lab: Lab, words: str) -> Locator:
    return lab.page.get_by_role("alert").filter(has_text=words)


def test_one_is_taken_gone_back_to_and_deleted(open_lab: OpenLab, server: JupyterServer) -> None:
    note = server.folder / "note.txt"
    lab = open_lab(server)
    view(lab, "Data")
    lab.panel.get_by_role("button", name="Take a snapshot", exact=True).last.click()
    submit(lab, "Take it")
    expect(lab.dialog().get_by_role("alert")).to_have_text("A name is needed.")
    lab.dialog().get_by_label("Name", exact=True).fill("week 1/2")
    lab.dialog().get_by_label("Description", exact=True).fill("At the beginning")
    submit(lab, "Take it")
    row = lab.panel.get_by_role("listitem", name="week 1/2", exact=True)
    expect(row).to_contain_text("At the beginning", timeout=40_000)
    expect(lab.panel.get_by_text("Snapshots (1)", exact=True)).to_be_visible()
    # What there is none of says why.
    expect(row.locator(".jx-Part[data-state=kept]")).to_have_text("files")
    missing = row.locator(".jx-Part[data-state=left_out]").first
    expect(missing).to_have_text("all databases · left out")
    expect(missing).to_have_attribute("title", re.compile("No database was made yet"))

    note.write_text("two")
    row.get_by_role("button", name="Restore week 1/2", exact=True).click()
    dialog = lab.dialog()
    expect(dialog.get_by_label("files", exact=True)).to_be_checked()
    expect(dialog).to_contain_text(f"Replaces everything in {server.folder}")
    expect(dialog.get_by_label("all databases", exact=True)).to_be_disabled()
    expect(dialog.get_by_role("note")).to_contain_text("restart kernels afterwards")
    submit(lab, "Restore")
    expect(dialog.get_by_role("alert")).to_have_text("This has to be agreed to.")
    assert note.read_text() == "two"
    dialog.get_by_label("Replace what is there", exact=True).check()
    submit(lab, "Restore")
    expect(told(lab, "What was there before is the snapshot “before week 1/2")).to_be_visible(
        timeout=40_000
    )
    assert note.read_text() == "one"
    expect(rows(lab)).to_have_count(2)
    expect(rows(lab).first).to_contain_text("before week 1/2")

    lab.choose(row, "Delete…")
    expect(lab.dialog()).to_contain_text("can’t be restored from it any more")
    expect(lab.dialog()).to_contain_text(re.compile(r"It took up \S+ \S+ itself"))
    submit(lab, "Delete")
    expect(told(lab, "“week 1/2” is deleted:")).to_be_visible(timeout=40_000)
    expect(row).to_have_count(0)
    expect(rows(lab)).to_have_count(1)


@pytest.mark.parametrize("theme", THEMES)
def test_snapshots_are_readable_in_a_narrow_panel(
    theme: str, open_lab: OpenLab, server: JupyterServer
) -> None:
    name = f"{theme}, a name that is longer than the panel is wide"
    with server.client(timeout=60) as client:
        taken(client, name)
    set_setting(server, "apputils-extension:themes", theme=theme)
    lab = open_lab(server)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    view(lab, "Data")
    narrow(lab, NARROW)
    section = lab.panel.locator(".jx-Panel-section:visible").last
    expect(section.locator(".jx-Snapshot").first).to_be_visible()
    readable(section)
    assert section.evaluate(OVERFLOWING) == []
    section.get_by_role("button", name=f"Restore {name}", exact=True).click()
    expect(lab.dialog().get_by_label("files", exact=True)).to_be_checked()
    readable(lab.dialog())
