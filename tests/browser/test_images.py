"""Sharing an image from the side panel."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from .conftest import OpenLab

pytestmark = [pytest.mark.browser, pytest.mark.docker]


def test_an_image_is_shared_and_taken_back(
    open_lab: OpenLab, lab_server: JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    with lab_server.client() as client:
        for name in ("ann", "ben"):
            body = {"username": name, "password": "a-long-secret"}
            assert client.post("users", json=body).status_code in (200, 201, 409)
        work = {"name": "work", "image": "busybox:latest", "command": "sleep 600"}
        client.post("containers", json=work).raise_for_status()
        saved = client.post("containers/work/commit", json={"name": "ours"}).json()["data"]
        where = f"images/{saved['iid']}/shares"

        def readers() -> list[str]:
            return [each["username"] for each in client.get(where).json()["data"]["items"]]

        row = lab.panel.get_by_role("listitem", name="ours:latest", exact=True)
        expect(row).to_contain_text("private")
        lab.choose(row, "Share…")
        dialog = lab.dialog()
        names = dialog.get_by_label("User names")
        names.fill("ann, nobody")
        share = dialog.get_by_role("button", name="Share", exact=True)
        share.click()
        # What is right is done, what is wrong is said beside the field.
        expect(dialog.get_by_role("alert")).to_contain_text("no user goes by 'nobody'")
        assert readers() == ["ann"]
        names.fill("ann, ben")
        share.click()
        expect(dialog).to_have_count(0)
        expect(row).to_contain_text("shared")
        assert readers() == ["ann", "ben"]

        lab.choose(row, "Share…")
        dialog.get_by_role("button", name="Take it back from ann", exact=True).click()
        expect(dialog.get_by_role("listitem")).to_have_count(1)
        share.click()
        expect(dialog).to_have_count(0)
        assert readers() == ["ben"]
        lab.choose(row, "Share…")
        dialog.get_by_role("button", name="Take it back from ben", exact=True).click()
        share.click()
        expect(row).to_contain_text("private")
        client.delete("containers/work?force=true").raise_for_status()
        client.delete(f"images/{saved['iid']}").raise_for_status()


def test_an_image_of_everybodys_is_not_shared(
    open_lab: OpenLab, lab_server: JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    row = lab.panel.get_by_role("listitem", name="busybox:latest", exact=True)
    row.get_by_role("button", name="More for busybox:latest").click()
    menu = lab.page.get_by_role("menu")
    expect(menu.get_by_text("Copy Name", exact=True)).to_be_visible()
    expect(menu.get_by_text("Share…", exact=True)).to_have_count(0)
