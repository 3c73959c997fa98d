"""Backups in the panel: a time line, and the way back after what would happen was read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, expect

from ..engines import clusters, jupyter
from ..engines.jupyter import JupyterServer
from ..postgres.conftest import settings
from ..postgres.test_databases import run
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting
from .test_devices import OVERFLOWING, narrow
from .test_people import clipboard, readable, submit, view

pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.timeout(180)]

NARROW = 300

# Words below the time line that do not lie within it.
CUT_OFF = """axis => {
  const { left, right } = axis.getBoundingClientRect();
  return [...axis.children].filter(word => {
    const box = word.getBoundingClientRect();
    return box.left < left - 0.5 || box.right > right + 0.5;
  }).map(word => word.textContent);
}"""


@dataclass
class Shop:
    """A server with a database, a backup, and rows from before and after a moment."""

    server: JupyterServer
    url: str
    moment: datetime

    def rows(self) -> list[object]:
        return [row[0] for row in run(self.url, "SELECT n FROM log ORDER BY n")]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder), lab=True) as server,
        server.client(timeout=120) as client,
    ):
        set_setting(server, "apputils-extension:notification", fetchNews="false")
        url = client.post("databases", json={"name": "shop"}).json()["connection_url"]
        run(url, "CREATE TABLE log (n int)", "INSERT INTO log VALUES (1)")
        client.post("backups", json={"databases": ["shop"]}).raise_for_status()
        time.sleep(1.1)
        run(url, "INSERT INTO log VALUES (2)")
        time.sleep(1.1)
        # The field of a moment has whole seconds.
        moment = datetime.now(UTC).replace(microsecond=0)
        run(url, "INSERT INTO log VALUES (3)")
        yield Shop(server, url, moment)


def marks(lab: Lab) -> Locator:
    return lab.panel.locator(".jx-Mark")


def restore_button(lab: Lab) -> Locator:
    return lab.dialog().get_by_role("button", name="Restore", exact=True)


def ask_for_the_way_back(lab: Lab) -> Locator:
    lab.panel.locator(".jx-Backup").last.get_by_role("button", name=re.compile("^Restore")).click()
    return lab.dialog()


def test_one_is_taken_looked_at_and_tested(open_lab: OpenLab, shop: Shop) -> None:
    lab = open_lab(shop.server)
    view(lab, "Data")
    expect(marks(lab)).to_have_count(1)
    lab.button("Back up now").click()
    expect(lab.dialog().get_by_label("Type", exact=True)).to_have_value("incremental")
    submit(lab, "Back up")
    expect(marks(lab)).to_have_count(2, timeout=40_000)
    expect(lab.panel.get_by_text("Backups (2)", exact=True)).to_be_visible()

    # By keyboard alone: what a mark is about is said below.
    told = lab.panel.locator(".jx-TimeLine-told")
    marks(lab).last.focus()
    expect(told).to_contain_text(re.compile(r"· Incremental · .* · not tested yet"))
    lab.page.keyboard.press("ArrowLeft")
    expect(marks(lab).first).to_be_focused()
    expect(told).to_contain_text("· Full ·")

    newest = lab.panel.locator(".jx-Backup").first
    expect(newest).to_contain_text("not tested yet")
    lab.choose(newest, "Test by Restoring It Beside")
    expect(newest).not_to_contain_text("not tested yet", timeout=60_000)
    expect(newest).to_contain_text("tested")
    lab.choose(newest, "Delete…")
    expect(lab.dialog()).to_contain_text("moments that it alone reaches")
    submit(lab, "Delete")
    expect(marks(lab)).to_have_count(1)

    # The only full one stays, and the dialog says why.
    lab.choose(lab.panel.locator(".jx-Backup"), "Delete…")
    submit(lab, "Delete")
    expect(lab.dialog().get_by_role("alert")).to_contain_text("full")


def test_a_moment_is_picked_read_about_and_gone_back_to(open_lab: OpenLab, shop: Shop) -> None:
    lab = open_lab(shop.server)
    view(lab, "Data")
    dialog = ask_for_the_way_back(lab)
    moment = dialog.get_by_label("Moment", exact=True)
    expect(moment).to_be_focused()
    expect(dialog).to_contain_text(re.compile(r"On your clock \((GMT|UTC)"))
    # The only database is chosen; what would happen is there before the button works.
    expect(dialog.get_by_label("shop", exact=True)).to_be_checked()
    expect(dialog.locator(".jx-RestorePlan")).to_contain_text("shop.before-")
    expect(restore_button(lab)).to_be_enabled()

    moment.fill("2020-01-01T00:00:00")
    expect(dialog.locator(".jx-Problem")).to_have_text("No backup reaches this moment.")
    expect(restore_button(lab)).to_be_disabled()
    slider = dialog.get_by_role("slider")
    moment.fill(shop.moment.astimezone().strftime("%Y-%m-%dT%H:%M:%S"))
    expect(slider).to_have_attribute("aria-valuenow", str(int(shop.moment.timestamp() * 1000)))
    expect(dialog.locator(".jx-RestorePlan")).to_contain_text("Replaces")

    # In a field the enter key restores nothing.
    lab.page.keyboard.press("Enter")
    lab.page.wait_for_timeout(300)
    assert shop.rows() == [1, 2, 3]
    whole = dialog.get_by_role("checkbox", name="The whole cluster")
    whole.check()
    expect(dialog.locator(".jx-RestorePlan")).to_contain_text("the databases of everybody")
    expect(restore_button(lab)).to_be_disabled()
    dialog.get_by_label("Type restore", exact=False).fill("restor")
    expect(restore_button(lab)).to_be_disabled()
    dialog.get_by_label("Type restore", exact=False).fill("restore")
    expect(restore_button(lab)).to_be_enabled()
    whole.uncheck()
    expect(dialog.locator(".jx-RestorePlan")).to_contain_text("shop.before-")

    restore_button(lab).click()
    told = lab.page.locator(".Toastify__toast").filter(
        has_text="What was there before: shop.before-"
    )
    expect(told).to_be_visible(timeout=60_000)
    assert shop.rows() == [1, 2]
    kept = lab.panel.locator(".jx-Database").filter(has_text="shop.before-")
    expect(kept).to_be_visible()
    dialog = ask_for_the_way_back(lab)
    expect(dialog.locator(".jx-RestorePlan")).to_contain_text("of earlier restores, for a while")
    lab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    # Nobody ends everybody's sessions by one click.
    view(lab, "Admin")
    lab.button("Stop postgres").click()
    expect(lab.dialog()).to_contain_text("Everybody’s sessions in databases end")
    submit(lab, "Cancel")
    assert shop.rows() == [1, 2]


def test_a_moment_is_left_beside_and_its_address_copied(open_lab: OpenLab, shop: Shop) -> None:
    run(shop.url, "INSERT INTO log VALUES (4)")
    before = shop.rows()
    with shop.server.client() as client:
        client.post("databases", json={"name": "stall"}).raise_for_status()
    # The field has whole seconds.
    time.sleep(1.1)
    since = datetime.now().astimezone()
    lab = open_lab(shop.server)
    view(lab, "Data")
    dialog, plan = ask_for_the_way_back(lab), lab.dialog().locator(".jx-RestorePlan")
    # What was made since the last backup can be restored, to the moments since it is there.
    moment = dialog.get_by_label("Moment", exact=True)
    moment.fill(since.strftime("%Y-%m-%dT%H:%M:%S"))
    made_since = dialog.get_by_role("checkbox", name="stall")
    made_since.check()
    expect(plan).to_contain_text("stall.before-")
    expect(plan).to_contain_text("what was written there after that moment")
    moment.fill(shop.moment.astimezone().strftime("%Y-%m-%dT%H:%M:%S"))
    expect(made_since).to_have_count(0)
    dialog.get_by_role("checkbox", name="shop").check()
    expect(plan).to_contain_text("shop.before-")
    dialog.get_by_label("Where to", exact=True).select_option("Beside it, under a new port")
    expect(plan).to_contain_text("nothing: it is left beside")
    expect(plan).to_contain_text("Holdsshop")
    expect(plan).not_to_contain_text("shop.before-")
    expect(restore_button(lab)).to_be_enabled()
    restore_button(lab).click()

    ready = lab.dialog().filter(has_text="The cluster of")
    ready.get_by_role("button", name="Copy connection URL").click(timeout=60_000)
    expect(ready.get_by_role("button", name="Copied")).to_be_visible()
    address = urlsplit(clipboard(lab))
    with shop.server.client() as client:
        (side,) = client.get("restores").json()["restores"]
        assert address.port == side["port"]
        expect(ready).to_contain_text(f"pig backup side delete {side['id']}")
        there = run(address._replace(path="/shop").geturl(), "SELECT n FROM log ORDER BY n")
        assert there == [(1,), (2,)]
        assert shop.rows() == before
        client.delete(f"restores/{side['id']}").raise_for_status()
        client.delete("databases/stall").raise_for_status()
    submit(lab, "Close")
    expect(lab.dialog()).to_have_count(0)


def test_who_did_something_else_is_told_what_was_left_beside(open_lab: OpenLab, shop: Shop) -> None:
    lab = open_lab(shop.server)
    view(lab, "Data")
    dialog, plan = ask_for_the_way_back(lab), lab.dialog().locator(".jx-RestorePlan")
    dialog.get_by_role("checkbox", name="The whole cluster").check()
    expect(plan).to_contain_text("All sessions end")
    expect(restore_button(lab)).to_be_disabled()
    # Nobody loses anything so: no word is typed for everybody's.
    dialog.get_by_label("Where to", exact=True).select_option("Beside it, under a new port")
    expect(plan).to_contain_text("Holdsthe whole cluster")
    expect(dialog.get_by_label("Type restore", exact=False)).to_have_count(0)
    expect(restore_button(lab)).to_be_enabled()
    restore_button(lab).click()
    submit(lab, "Go on in the background")
    told = lab.page.locator(".Toastify__toast").filter(has_text="is left beside.")
    told.get_by_role("button", name="How to get in").click(timeout=60_000)
    expect(lab.dialog()).to_contain_text("pig backup side delete side-")
    with shop.server.client() as client:
        (side,) = client.get("restores").json()["restores"]
        client.delete(f"restores/{side['id']}").raise_for_status()


@pytest.mark.parametrize("theme", THEMES)
def test_backups_are_readable_in_a_narrow_panel(theme: str, open_lab: OpenLab, shop: Shop) -> None:
    set_setting(shop.server, "apputils-extension:themes", theme=theme)
    lab = open_lab(shop.server)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    view(lab, "Data")
    narrow(lab, NARROW)
    section = lab.panel.locator(".jx-Panel-section", has=lab.page.locator(".jx-TimeLine"))
    expect(section.locator(".jx-Backup").first).to_be_visible()
    assert section.locator(".jx-TimeLine-axis").evaluate(CUT_OFF) == []
    readable(section)
    assert section.evaluate(OVERFLOWING) == []
    section.locator(".jx-Lane-track").first.click(position={"x": 200, "y": 12})
    expect(lab.dialog().locator(".jx-RestorePlan")).to_be_visible()
    readable(lab.dialog())
