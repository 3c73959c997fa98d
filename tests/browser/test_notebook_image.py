"""A container of the notebook image, opened from the panel with one click."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from ..engines import jupyter, require
from ..engines.dockerd import EngineMissing
from ..engines.jupyter import JupyterServer
from ..engines.notebook import BASE, notebook_engine
from .conftest import OpenLab
from .lab import set_setting

# The first run ever makes a Debian and downloads what the image has.
pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.timeout(900)]

NAME = "real"


@pytest.fixture
def server() -> Iterator[JupyterServer]:
    """JupyterLab with a container of the real image, which listens."""
    config = {"ContainerDefaults": {"notebook_base": BASE}}
    try:
        with (
            notebook_engine() as engine,
            jupyter.jupyter_server(docker_host=engine.url, lab=True, config=config) as running,
        ):
            set_setting(running, "apputils-extension:notification", fetchNews="false")
            pig = (running.python, "-m", "jupyter_ext.cli")
            built = running.run(*pig, "image", "build", "notebook", timeout=600)
            assert built.returncode == 0, built.stdout + built.stderr
            running.pig("container", "run", "--connect", "--name", NAME, "jupyter-ext/notebook")
            yield running
    except EngineMissing as why:
        require.missing("docker", str(why))


def test_jupyterlab_and_tensorboard_open_with_one_click(
    server: JupyterServer, open_lab: OpenLab
) -> None:
    lab = open_lab(server)
    lab.row(NAME).get_by_title(f"Show details of {NAME}", exact=True).click()
    card = lab.page.get_by_role("region", name="Connect")
    for button, sign in (("Open JupyterLab", "Launcher"), ("Open TensorBoard", "TensorBoard")):
        opener = card.get_by_role("button", name=button)
        expect(opener).to_be_enabled()
        with lab.page.expect_popup() as popup:
            opener.click()
        page = popup.value
        shown(page, sign)
        host = urlsplit(page.url).hostname or ""
        # An origin of its own, without a ticket or a password in its address.
        assert host.endswith(".localhost")
        assert "ticket" not in page.url
        assert "token" not in page.url
        page.close()


def shown(page: Page, sign: str) -> None:
    """Wait for a page that starts slowly: TensorBoard's first takes a while."""
    expect(page.get_by_text(sign, exact=False).first).to_be_visible(timeout=90_000)
