"""GPUs in the side panel, and the widget that shows them in a notebook."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from ..engines import gpus, images, jupyter
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.scratch import wait_until
from .conftest import OpenLab
from .lab import THEMES, set_setting
from .test_people import readable
from .test_widget import write

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Cards:
    small = Card("GPU-0000-small", "NVIDIA L4", 24 * gpus.GIB)
    return Cards(tmp_path_factory.mktemp("nvml"), [small, Card("GPU-0001-large")])


@pytest.fixture(scope="module")
def one_lab(
    tmp_path_factory: pytest.TempPathFactory, cards: Cards
) -> Iterator[tuple[jupyter.JupyterServer, Dockerd]]:
    hooks = gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))
    with Dockerd(programs=hooks) as engine:
        images.load_busybox(engine)
        with jupyter.jupyter_server(
            docker_host=engine.url, lab=True, environ=cards.environ
        ) as server:
            set_setting(server, "apputils-extension:notification", fetchNews="false")
            yield server, engine


@pytest.fixture
def gpu_lab(
    one_lab: tuple[jupyter.JupyterServer, Dockerd],
) -> Iterator[tuple[jupyter.JupyterServer, Dockerd]]:
    """The server and its engine, with all GPUs free afterwards."""
    yield one_lab
    server, engine = one_lab
    engine.clean()
    with server.client() as client:
        wait_until(
            lambda: not any(gpu["holders"] for gpu in client.get("gpus").json()["gpus"]),
            "the GPUs to be free",
        )


def test_gpus_are_seen_chosen_and_waited_for(
    open_lab: OpenLab, gpu_lab: tuple[jupyter.JupyterServer, Dockerd], cards: Cards
) -> None:
    server, engine = gpu_lab
    lab = open_lab(server)
    small = lab.panel.locator('.jx-Gpu[data-gid="1"]')
    large = lab.panel.locator('.jx-Gpu[data-gid="2"]')
    # The section has its part of the panel's height as soon as there are any.
    expect(small).to_be_in_viewport()
    expect(small).to_have_attribute("data-state", "free")
    expect(large).to_contain_text("NVIDIA A100")

    def make(name: str, gpu: str, *, wait: bool = False) -> None:
        lab.palette("New Container…")
        lab.field("Image").fill("busybox:latest")
        lab.field("Name").fill(name)
        lab.field("Command").fill("sleep 600")
        lab.field("GPU").select_option(gpu)
        if wait:
            lab.page.get_by_label("Wait in the queue").check()
        lab.page.get_by_role("button", name="Create and start").click()

    make("one", "auto")
    lab.expect_status("one", "running")
    expect(small).to_have_attribute("data-state", "taken")
    expect(small).to_contain_text("one")
    cards.change(0, used=6 * gpus.GIB, utilization=93)
    # They are read every five seconds.
    use = small.get_by_role("meter", name="GPU")
    expect(use).to_have_attribute("aria-valuenow", "93", timeout=20_000)
    expect(small).to_contain_text("6.4 GB of 26 GB")

    make("two", "1")
    expect(lab.page.get_by_role("alert").first).to_contain_text("not available")
    lab.page.get_by_label("Wait in the queue").check()
    lab.page.get_by_role("button", name="Create and start").click()
    expect(lab.panel.get_by_text("1 waits for a GPU")).to_be_visible()
    engine.docker("rm", "--force", "admin.one")
    lab.expect_status("two", "running")
    expect(small).to_contain_text("two")
    expect(large).to_have_attribute("data-state", "free")
    # Its details tell which GPU it was made with.
    lab.row("two").get_by_title("Show details of two", exact=True).click()
    expect(lab.page.locator(".jx-Facts")).to_contain_text("1 · NVIDIA L4")


@pytest.mark.parametrize("theme", THEMES)
def test_theme_of_gpus_is_readable(
    theme: str, open_lab: OpenLab, gpu_lab: tuple[jupyter.JupyterServer, Dockerd]
) -> None:
    server, _ = gpu_lab
    set_setting(server, "apputils-extension:themes", theme=theme)
    lab = open_lab(server)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    expect(lab.panel.locator(".jx-Gpu")).to_have_count(2)
    readable(lab.panel.locator(".jx-Gpu"))


@pytest.mark.slow
def test_the_widget_streams_while_it_is_seen(
    open_lab: OpenLab, gpu_lab: tuple[jupyter.JupyterServer, Dockerd], cards: Cards
) -> None:
    server, _ = gpu_lab
    cards.change(0, used=0, utilization=11)
    cells = ["%load_ext jupyter_ext\npanel = GpusPanel()\npanel", "print(panel.streaming)"]
    write(server, "gpus.ipynb", cells)
    lab = open_lab(server)
    page = lab.page
    page.goto(f"{server.url}lab/tree/gpus.ipynb")
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.keyboard.press("Shift+Enter")
    widget = page.get_by_role("region", name="GPUs", exact=True)
    row = widget.get_by_role("listitem").filter(has_text="NVIDIA L4")
    expect(row).to_contain_text("11 %", timeout=30_000)
    expect(widget).to_contain_text("Nobody waits for a GPU.")
    cards.change(0, used=12 * gpus.GIB, utilization=87)
    expect(row.get_by_role("img", name="Use of GPU 1: 87 %")).to_be_visible(timeout=20_000)
    expect(row).to_contain_text("12.9 GB of 25.8 GB")

    with server.client() as client:
        body = {"name": "held", "image": "busybox:latest", "command": "sleep 600", "gid": 1}
        client.post("containers", json=body).raise_for_status()
        expect(row).to_contain_text("admin.held", timeout=20_000)
        client.delete("containers/held", params={"force": True}).raise_for_status()
        expect(row).to_contain_text("free", timeout=20_000)

    printed = page.locator(".jp-OutputArea-output pre")

    def streaming() -> str:
        page.locator(".jp-Notebook .jp-Cell").nth(1).click()
        page.keyboard.press("Control+Enter")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        return printed.last.inner_text().strip()

    def becomes(wanted: str) -> None:
        for _ in range(20):
            if streaming() == wanted:
                return
            page.wait_for_timeout(250)
        assert streaming() == wanted

    becomes("True")
    # Out of sight: nothing is sent any more.
    place = page.locator(".jx-gpus")
    place.evaluate("node => { node.parentElement.style.display = 'none' }")
    becomes("False")
    cards.change(0, utilization=42)
    place.evaluate("node => { node.parentElement.style.display = '' }")
    becomes("True")
    expect(row).to_contain_text("42 %", timeout=20_000)
