"""Getting into a container, and saving it as an image, from the side panel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Request, Route, expect

from ..engines import images
from ..engines.dockerd import Dockerd
from ..engines.jupyter import JupyterServer
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting
from .test_people import clipboard, readable

pytestmark = [pytest.mark.browser, pytest.mark.docker]

IMAGE = "enterable:latest"
LISTENS = ("LABEL jupyter_ext.image=notebook", "ENV PATH=/bin", 'CMD ["sleep", "600"]')


@pytest.fixture
def enterable(engine: Dockerd) -> Iterator[Dockerd]:
    """The engine with an image whose containers one can get into."""
    images.load_busybox(engine, IMAGE, changes=LISTENS)
    yield engine
    engine.clean()
    engine.docker("rmi", "--force", IMAGE)


def make(lab: Lab, image: str, name: str) -> None:
    lab.palette("New Container…")
    lab.field("Image").fill(image)
    lab.field("Name").fill(name)


def create(lab: Lab, name: str) -> None:
    lab.page.get_by_role("button", name="Create and start").click()
    lab.expect_status(name, "running")


def show_details(lab: Lab, name: str) -> None:
    lab.row(name).get_by_title(f"Show details of {name}", exact=True).click()
    expect(lab.page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_the_way_in_is_shown_and_the_password_only_on_demand(
    open_lab: OpenLab, lab_server: JupyterServer, enterable: Dockerd
) -> None:
    lab = open_lab(lab_server)
    page = lab.page
    asked: list[str] = []

    def hear(request: Request) -> None:
        if "/connection" in request.url:
            asked.append(request.url)

    page.on("request", hear)
    offer = page.get_by_label("ssh, JupyterLab and TensorBoard")
    make(lab, "busybox:latest", "lab")
    # It is offered for images that listen, and for no other.
    expect(offer).to_have_count(0)
    lab.field("Image").fill("enterable")
    expect(offer).to_be_checked()
    create(lab, "lab")
    show_details(lab, "lab")

    with lab_server.client() as client:
        way = client.get("containers/lab/connection?password=true").json()["data"]
    card = page.get_by_role("region", name="Connect")
    expect(card).to_contain_text(f"ssh -p {way['ports']['ssh']} root@127.0.0.1")
    expect(card).to_contain_text("listens on the server’s own machine only")
    assert way["password"] not in page.content()
    assert asked
    assert all("password=false" in url for url in asked)

    card.get_by_role("button", name="Show the password").click()
    expect(card).to_contain_text(way["password"])
    assert "password=true" in asked[-1]
    card.get_by_role("button", name="Hide the password").click()
    expect(card).not_to_contain_text(way["password"])
    card.get_by_role("button", name="Copy the password").click()
    assert clipboard(lab) == way["password"]
    card.get_by_role("button", name="Copy the ssh command").click()
    page.wait_for_function(
        "async text => await navigator.clipboard.readText() === text",
        arg=f"ssh -p {way['ports']['ssh']} root@127.0.0.1",
    )

    # One that stands still says how to get in again.
    lab.button("Stop lab").click()
    lab.expect_status("lab", "exited")
    expect(card).to_contain_text("start it to connect")
    expect(card.get_by_role("button", name="Open JupyterLab")).to_be_disabled()


def test_who_declines_gets_no_way_in(
    open_lab: OpenLab, lab_server: JupyterServer, enterable: Dockerd
) -> None:
    lab = open_lab(lab_server)
    make(lab, IMAGE, "closed")
    lab.page.get_by_label("ssh, JupyterLab and TensorBoard").uncheck()
    create(lab, "closed")
    show_details(lab, "closed")
    # The details are there in full.
    expect(lab.page.locator(".jx-Facts")).to_contain_text("Command")
    expect(lab.page.get_by_role("region", name="Connect")).to_have_count(0)
    [container] = json.loads(enterable.docker("inspect", "admin.closed"))
    assert container["HostConfig"]["PortBindings"] in ({}, None)


def test_pages_open_in_a_tab_that_can_not_reach_back(
    open_lab: OpenLab, lab_server: JupyterServer, enterable: Dockerd
) -> None:
    """What the server answers is given here: this is of what the page makes of it."""
    with lab_server.client() as client:
        body = {"name": "lab", "image": IMAGE, "connect": True}
        client.post("containers", json=body).raise_for_status()
    lab = open_lab(lab_server)
    page = lab.page
    sent: list[object] = []
    answers = [
        (503, {"code": 503, "message": "JupyterLab does not answer yet.", "errors": []}),
        (200, {"code": 200, "message": "success", "data": {"url": "javascript:alert(1)"}}),
        (200, {"code": 200, "message": "success", "data": {"url": f"{lab_server.url}api"}}),
    ]

    def answer(route: Route) -> None:
        sent.append(route.request.post_data_json)
        status, said = answers.pop(0)
        route.fulfill(status=status, json=said)

    page.route(re.compile("/containers/[0-9]+/open"), answer)
    show_details(lab, "lab")
    card = page.get_by_role("region", name="Connect")
    jupyter = card.get_by_role("button", name="Open JupyterLab")
    jupyter.click()
    expect(card.get_by_role("alert")).to_contain_text("does not answer yet")
    jupyter.click()
    expect(card.get_by_role("alert")).to_contain_text("javascript: is no page")
    with page.expect_popup() as popup:
        card.get_by_role("button", name="Open TensorBoard").click()
    opened = popup.value
    opened.wait_for_load_state()
    assert opened.url == f"{lab_server.url}api"
    assert opened.evaluate("window.opener === null && document.referrer === ''")
    services = ["jupyter", "jupyter", "tensorboard"]
    assert sent == [{"service": service, "host": "127.0.0.1"} for service in services]


def test_a_container_is_saved_as_an_image(
    open_lab: OpenLab, lab_server: JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    page = lab.page
    with lab_server.client() as client:
        body = {"name": "work", "image": "busybox:latest", "command": ["sleep", "600"]}
        client.post("containers", json=body).raise_for_status()
    lab.expect_status("work", "running")
    fill = "mkdir -p /opt/tools && head -c 3000000 /dev/zero > /opt/tools/big && echo x > /etc/note"
    engine.docker("exec", "admin.work", "sh", "-c", fill)

    lab.choose(lab.row("work"), "Save as Image…")
    dialog = lab.dialog()
    expect(dialog).to_contain_text("Save work as an image")
    expect(dialog.get_by_role("status")).to_contain_text("3.0 MB")
    first = dialog.get_by_role("row").first
    expect(first).to_contain_text("/opt/tools/big")
    expect(first).to_contain_text("added")
    save = dialog.get_by_role("button", name="Save", exact=True)
    save.click()
    expect(dialog.get_by_role("alert").filter(has_text="This is needed")).to_be_visible()
    name = dialog.get_by_label("Name of the image")
    name.fill("No Such")
    save.click()
    expect(dialog.locator(".jx-Problem").first).not_to_have_text("")
    name.fill("tools")
    dialog.get_by_label("Everybody on this server").check()
    expect(dialog).to_contain_text("leave nothing secret")
    dialog.get_by_label("Only I may use it").check()
    save.click()
    expect(lab.panel.get_by_role("listitem", name="tools:latest", exact=True)).to_be_visible()
    expect(dialog).to_have_count(0)
    found = json.loads(engine.docker("image", "inspect", "jupyter-ext/admin/tools:latest"))
    assert found
    expect(page.get_by_text("work is saved as the image tools.")).to_be_visible()
    with lab_server.client() as client:
        client.delete(f"images/{found[0]['Id']}").raise_for_status()


@pytest.mark.parametrize("theme", THEMES)
def test_theme_of_ways_in_is_readable(
    theme: str, open_lab: OpenLab, lab_server: JupyterServer, enterable: Dockerd
) -> None:
    with lab_server.client() as client:
        body = {"name": "lab", "image": IMAGE, "connect": True}
        client.post("containers", json=body).raise_for_status()
    enterable.docker("exec", "admin.lab", "sh", "-c", "echo x > /file")
    set_setting(lab_server, "apputils-extension:themes", theme=theme)
    lab = open_lab(lab_server)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    show_details(lab, "lab")
    card = lab.page.get_by_role("region", name="Connect")
    expect(card).to_contain_text("ssh -p")
    readable(card)
    lab.choose(lab.row("lab"), "Save as Image…")
    expect(lab.dialog().get_by_role("row").first).to_be_visible()
    lab.dialog().get_by_role("button", name="Save", exact=True).click()
    readable(lab.dialog())


def test_who_may_only_look_is_shown_no_way_in(
    open_lab: OpenLab, lab_server: JupyterServer, enterable: Dockerd
) -> None:
    with lab_server.client() as client:
        body = {"name": "lab", "image": IMAGE, "connect": True}
        client.post("containers", json=body).raise_for_status()
    lab = open_lab(lab_server)
    refusal = {"code": 403, "message": "container:exec is missing.", "errors": []}
    lab.page.route(
        re.compile("/containers/[0-9]+/connection"),
        lambda route: route.fulfill(status=403, json=refusal),
    )
    with lab.page.expect_response(re.compile("/connection")):
        show_details(lab, "lab")
    expect(lab.page.locator(".jx-Facts")).to_contain_text("Command")
    expect(lab.page.get_by_role("region", name="Connect")).to_have_count(0)
    expect(lab.page.locator(".jx-Details").get_by_role("alert")).to_have_count(0)
