"""The main job once more, with the product's own state in PostgreSQL."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ..conftest import MakeServer
from ..engines.dockerd import Dockerd
from ..engines.stores import PostgresStore
from .conftest import OpenLab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.docker,
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.timeout(240),
]


def test_container_from_form_to_deletion(
    postgres_store: PostgresStore, make_server: MakeServer, open_lab: OpenLab, engine: Dockerd
) -> None:
    server = make_server(docker_host=engine.url, lab=True, config=postgres_store.config)
    lab = open_lab(server)
    lab.button("Start your first container").click()
    lab.field("Image").fill("busybox:latest")
    lab.field("Name").fill("web")
    lab.field("Command").fill("sh -c 'echo first words; exec sleep 1000'")
    lab.page.get_by_role("button", name="Create and start").click()
    lab.expect_status("web", "running")
    assert engine.docker("ps", "--format", "{{.Names}}") == "admin.web"
    assert postgres_store.containers() == ["web"]

    lab.button("Logs of web").click()
    expect(lab.page.get_by_role("log", name="Output of web")).to_contain_text("first words")
    lab.button("Stop web").click()
    lab.expect_status("web", "exited")
    lab.choose(lab.row("web"), "Delete…")
    lab.dialog().get_by_role("button", name="Delete").click()
    expect(lab.panel.get_by_text("No containers yet")).to_be_visible()
    assert engine.docker("ps", "--all", "--quiet") == ""
    assert postgres_store.containers() == []
