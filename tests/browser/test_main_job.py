"""The main job: from an empty panel to a container that ran, talked, was used and is gone."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from ..engines import jupyter, scratch
from ..engines.dockerd import Dockerd
from .conftest import OpenLab
from .lab import Lab

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.timeout(240)]

TALKS = (
    'sh -c "echo first words; echo $GREETING > /work/greeting; mkdir /www; '
    'echo served > /www/index.html; exec httpd -f -v -p 80 -h /www"'
)


def test_container_from_form_to_deletion(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    port = scratch.free_port()
    shared = lab_server.folder / "shared"
    shared.mkdir(exist_ok=True)

    lab.button("Start your first container").click()
    fill_in(lab, port, shared)
    lab.page.get_by_role("button", name="Create and start").click()
    lab.expect_status("web", "running")

    assert engine.docker("ps", "--format", "{{.Image}}") == "busybox:latest"
    assert (shared / "greeting").read_text() == "hello there\n"
    limits = engine.docker(
        "inspect", "--format", "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}}", ids(engine)
    )
    assert limits == f"500000000 {64 << 20}"
    assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text == "served\n"
    link = lab.row("web").get_by_role("link")
    expect(link).to_have_attribute("href", f"http://127.0.0.1:{port}")

    reads_logs(lab)
    watches_use(lab)
    uses_terminal(lab, shared)

    lab.button("Stop web").click()
    lab.expect_status("web", "exited")
    assert engine.docker("ps", "--quiet") == ""
    lab.button("Start web").click()
    lab.expect_status("web", "running")

    lab.choose(lab.row("web"), "Delete…")
    expect(lab.dialog()).to_contain_text("Delete web?")
    expect(lab.dialog()).to_contain_text("It is running, and is stopped first.")
    lab.dialog().get_by_role("button", name="Delete").click()
    expect(lab.panel.get_by_text("No containers yet")).to_be_visible()
    assert engine.docker("ps", "--all", "--quiet") == ""


def fill_in(lab: Lab, port: int, shared: Path) -> None:
    """Fill in the form, with a mistake first."""
    lab.field("Image").fill("busybox:latest")
    lab.field("Name").fill("not a name!")
    lab.page.get_by_role("button", name="Add port").click()
    lab.field("Port of this machine").fill("99999")
    lab.field("Port of the container").fill("80")
    lab.page.get_by_role("button", name="Create and start").click()
    expect(lab.page.get_by_text("A port is a number from 1 to 65535.")).to_be_visible()
    lab.field("Port of this machine").fill(str(port))
    lab.page.get_by_role("button", name="Create and start").click()
    expect(lab.field("Name")).to_have_attribute("aria-invalid", "true")
    expect(lab.field("Name")).to_be_focused()

    lab.field("Name").fill("web")
    lab.page.get_by_role("button", name="Add variable").click()
    lab.field("Name of the variable").fill("GREETING")
    lab.field("Value of the variable").fill("hello there")
    lab.page.get_by_role("button", name="Add folder").click()
    lab.field("Folder of this machine").fill(str(shared))
    lab.field("Folder in the container").fill("/work")
    lab.field("CPU limit (cores)").fill("0.5")
    lab.field("Memory limit (MB)").fill("64")
    lab.field("Command").fill(TALKS)


def reads_logs(lab: Lab) -> None:
    """Follow, search and download what it prints."""
    lab.button("Logs of web").click()
    log = lab.page.get_by_role("log", name="Output of web")
    expect(log).to_contain_text("first words")
    port = lab.row("web").get_by_role("link").get_attribute("href")
    assert port
    httpx.get(f"{port}/never-there", trust_env=False)
    expect(log).to_contain_text("response:404")

    search = lab.page.get_by_label("Search in the output")
    search.fill("first")
    expect(lab.page.get_by_text("1 of 1")).to_be_visible()
    with lab.page.expect_download() as download:
        lab.page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "web.log"
    assert "first words" in Path(download.value.path()).read_text()


def watches_use(lab: Lab) -> None:
    """See figures and lines of CPU and memory."""
    cpu = lab.row("web").get_by_role("img", name="CPU, last 10 minutes")
    memory = lab.row("web").get_by_role("img", name="Memory, last 10 minutes")
    expect(cpu).to_be_visible()
    expect(memory).to_be_visible()
    expect(lab.row("web").locator(".jx-Use-value").nth(1)).to_contain_text("B", timeout=15_000)


def uses_terminal(lab: Lab, shared: Path) -> None:
    """Type in a terminal inside the container."""
    lab.button("Terminal in web").click()
    terminal = lab.page.locator(".jp-Terminal:visible, .jx-Terminal:visible").first
    terminal.wait_for()
    typed = shared / "typed"
    until = time.monotonic() + 20
    while not typed.exists():
        assert time.monotonic() < until, "nothing was typed into the container"
        terminal.click()
        lab.page.keyboard.type("cat /proc/1/cmdline > /work/typed\n")
        lab.page.wait_for_timeout(1000)
    assert "httpd" in typed.read_text()


def ids(engine: Dockerd) -> str:
    """The id of the one container that is there."""
    return engine.docker("ps", "--quiet")
