"""What else the panel must do."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, expect

from ..conftest import MakeServer
from ..engines import images, jupyter
from ..engines import registry as registries
from ..engines.dockerd import Dockerd
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.timeout(300)]

CONTRAST = """element => {
  const channels = text => {
    const canvas = document.createElement('canvas').getContext('2d');
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.slice(0, 3).map(v => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let behind = element;
  while (behind && channels(getComputedStyle(behind).backgroundColor)[3] < 255) {
    behind = behind.parentElement;
  }
  const text = luminance(channels(getComputedStyle(element).color));
  const ground = luminance(channels(getComputedStyle(behind).backgroundColor));
  return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
}"""


def test_what_others_do_shows_at_once(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)

    engine.docker("run", "--detach", "--name", "elsewhere", "busybox:latest", "sleep", "600")
    lab.expect_status("elsewhere", "running")
    engine.docker("kill", "elsewhere")
    lab.expect_status("elsewhere", "exited")
    engine.docker("rm", "elsewhere")
    expect(lab.row("elsewhere")).to_have_count(0, timeout=20_000)


@pytest.mark.registry
def test_pull_shows_each_layer(
    open_lab: OpenLab,
    lab_server: jupyter.JupyterServer,
    engine: Dockerd,
    registry: registries.Registry,
) -> None:
    name = f"{registry.address}/big:latest"
    layer = images.random_layer(80 << 20)
    engine.docker("import", "-", name, stdin=layer)
    engine.docker("push", name, timeout=120)
    engine.docker("rmi", name)
    lab = open_lab(lab_server)

    lab.button("Pull an image").click()
    lab.dialog().get_by_label("Image").fill(name)
    lab.dialog().get_by_role("button", name="Pull", exact=True).click()
    bars = lab.dialog().get_by_role("progressbar")
    expect(bars.first).to_be_visible()
    layers = lab.dialog().locator(".jx-Layers tbody tr")
    expect(layers).to_have_count(1)
    expect(layers.first).to_contain_text("MB")

    expect(lab.panel.get_by_role("listitem", name="big:latest")).to_be_visible(timeout=60_000)
    expect(lab.dialog()).to_have_count(0)
    assert "big" in engine.docker("images", "--format", "{{.Repository}}")
    engine.docker("rmi", name)


@pytest.mark.registry
def test_a_pull_that_fails_has_only_its_reason(
    open_lab: OpenLab,
    lab_server: jupyter.JupyterServer,
    engine: Dockerd,
    registry: registries.Registry,
) -> None:
    lab = open_lab(lab_server)
    lab.button("Pull an image").click()
    lab.dialog().get_by_label("Image").fill(f"{registry.address}/nothing:latest")
    lab.dialog().get_by_role("button", name="Pull", exact=True).click()
    expect(lab.dialog()).to_contain_text("can't be pulled", timeout=30_000)
    close = lab.dialog().locator(".jp-Dialog-footer").get_by_role("button")
    expect(close).to_have_text(["Close"])
    expect(lab.dialog().get_by_role("progressbar")).to_have_count(0)
    close.click()
    expect(lab.dialog()).to_have_count(0)
    expect(lab.button("Pull an image")).not_to_have_attribute("aria-pressed", "true")


@pytest.mark.slow
def test_eight_tabs_and_a_notebook_still_saves(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    engine.docker("run", "--detach", "--name", "talks", "busybox:latest", "sleep", "600")
    # It would ask for a name at the first save.
    set_setting(lab_server, "docmanager-extension:plugin", renameUntitledFileOnSave=False)
    labs = [open_lab(lab_server, workspace=f"tab{number}") for number in range(8)]
    for lab in labs:
        lab.expect_status("talks", "running")
    first = labs[0]
    first.page.bring_to_front()
    first.page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    cell = first.page.locator(".jp-Notebook .cm-content").first
    cell.click()
    first.page.keyboard.type("6 * 7")
    expect(first.page.locator("#jp-main-statusbar")).to_contain_text("Idle", timeout=60_000)
    first.page.keyboard.press("Shift+Enter")
    expect(first.page.locator(".jp-OutputArea-output").first).to_contain_text("42")

    started = time.monotonic()
    first.page.keyboard.press("Control+s")
    notebook = lab_server.folder / "Untitled.ipynb"
    while "6 * 7" not in (notebook.read_text() if notebook.exists() else ""):
        assert time.monotonic() - started < 20, "the notebook was not saved"
        first.page.wait_for_timeout(50)
    # And all of them still follow what happens.
    engine.docker("kill", "talks")
    for lab in labs:
        lab.expect_status("talks", "exited", seconds=10)


def test_missing_engine_says_what_to_do(make_server: MakeServer, open_lab: OpenLab) -> None:
    lab = open_lab(make_server(lab=True))

    alert = lab.panel.get_by_role("alert").first
    expect(alert).to_contain_text("Docker")
    expect(alert.locator("code, pre").first).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_theme_is_readable(
    theme: str, open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    engine.docker(
        "run", "--detach", "--name", "up", "-p", "127.0.0.1::80", "busybox:latest", "sleep", "600"
    )
    engine.docker("run", "--name", "down", "busybox:latest", "true")
    set_setting(lab_server, "apputils-extension:themes", theme=theme)
    lab = open_lab(lab_server)
    lab.expect_status("up", "running")
    lab.expect_status("down", "exited")
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)

    for name in ("up", "down"):
        for text in texts(lab.row(name)):
            assert text.evaluate(CONTRAST) >= 4.5, f"{name}: {text.inner_text()!r}"


def texts(row: Locator) -> list[Locator]:
    """Every piece of a row that holds words of its own."""
    pieces = row.locator(".jx-Name, .jx-Status, .jx-Row-minor, .jx-Use-label, .jx-Use-value, a")
    return [pieces.nth(number) for number in range(pieces.count())]


def test_keyboard_alone_makes_and_deletes_a_container(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    keyboard = lab.page.keyboard

    lab.palette("New Container…")
    expect(lab.field("Image")).to_be_focused()
    keyboard.type("busybox:latest")
    keyboard.press("Tab")
    keyboard.press("Control+A")
    keyboard.type("typed")
    lab.field("Command").focus()
    keyboard.type("sleep 600")
    keyboard.press("Enter")
    lab.expect_status("typed", "running")

    # The form takes the focus with it when it closes.
    expect(lab.tab("New container")).to_have_count(0)
    lab.row("typed").focus()
    keyboard.press("Delete")
    lab.answer("Delete typed?", "Delete")
    expect(lab.row("typed")).to_have_count(0)


def test_port_that_is_taken_is_said_beside_the_field(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    make(lab, "one", lab_server.port)

    ports = lab.page.get_by_role("group", name="Ports")
    expect(ports.get_by_role("alert")).to_contain_text(str(lab_server.port))
    assert engine.docker("ps", "--all", "--quiet") == ""


def make(lab: Lab, name: str, port: int) -> None:
    lab.palette("New Container…")
    lab.field("Image").fill("busybox:latest")
    lab.field("Name").fill(name)
    lab.page.get_by_role("button", name="Add port").click()
    lab.field("Port of this machine").fill(str(port))
    lab.field("Port of the container").fill("80")
    lab.field("Command").fill("sleep 600")
    lab.page.get_by_role("button", name="Create and start").click()


def test_panel_uses_one_socket_and_does_not_poll(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    engine.docker("run", "--detach", "--name", "talks", "busybox:latest", "sleep", "600")
    lab = open_lab(lab_server)
    lab.expect_status("talks", "running")
    ours: list[str] = []
    lab.page.on(
        "request", lambda request: ours.append(request.url) if "/api/v1/" in request.url else None
    )

    lab.page.wait_for_timeout(5000)

    assert [url for url in ours if not re.search(r"/ws(\?|$)", url)] == []
