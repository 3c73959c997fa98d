"""Devices in the panel: administrators add, drain and remove hosts; nobody else is shown any.

The second host is a network namespace with a real engine behind ssh, which has a simulated GPU.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import paramiko
import pytest
from playwright.sync_api import Locator, Page, Request, WebSocket, expect

from ..engines import gpus, images, jupyter, require
from ..engines.dockerd import Dockerd, EngineMissing
from ..engines.jupyter import JupyterServer
from ..engines.network import network
from ..engines.scratch import wait_until
from ..engines.ssh import SshServer
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting
from .test_people import AS_SOMEBODY, add_user, login, open_context, readable, row, submit, view

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.timeout(180)]

NARROW = 260

OVERFLOWING = """section => {
  const { right } = section.getBoundingClientRect();
  return [...section.querySelectorAll('*')]
    .filter(node => node.getBoundingClientRect().right > right + 0.5)
    .map(node => node.className || node.tagName)
    .concat(section.scrollWidth > section.clientWidth ? ['the section itself'] : []);
}"""


@dataclass
class Hosts:
    """A desk with an engine of its own, and a host behind ssh with another one."""

    server: JupyterServer
    far: Dockerd
    ssh: SshServer

    def add(self) -> dict[str, Any]:
        body = {"name": "gpu2", "address": self.ssh.address, "host_key": self.ssh.fingerprint}
        with self.server.client() as client:
            reply = client.post("devices", json=body)
            assert reply.status_code == 201, reply.text
            wait_until(lambda: self.state("gpu2") == "ready", "the host")
            added: dict[str, Any] = reply.json()
            return added

    def make(self, name: str, **more: object) -> None:
        body = {"name": name, "image": "busybox:latest", "command": ["sleep", "600"], **more}
        with self.server.client() as client:
            client.post("containers", json=body).raise_for_status()

    def state(self, name: str) -> str:
        with self.server.client() as client:
            return str(client.get(f"devices/{name}").json()["state"])

    def names(self) -> list[str]:
        with self.server.client() as client:
            return [device["name"] for device in client.get("devices").json()["devices"]]


@pytest.fixture(scope="module")
def one_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with ExitStack() as stack:
        _, (far_host, near_host) = stack.enter_context(network(2))
        hook = gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))
        try:
            near = stack.enter_context(Dockerd(host=near_host))
            far = stack.enter_context(Dockerd(host=far_host, programs=hook))
        except EngineMissing as why:
            require.missing("docker", str(why))
        # One image on both of them.
        images.load_busybox(near)
        saved = tmp_path_factory.mktemp("image") / "busybox.tar"
        near.docker("save", "--output", str(saved), "busybox:latest")
        far.docker("load", "--input", str(saved))
        # What NVIDIA's runtime puts into a container: here the image has it.
        script = "RUN printf '#!/bin/sh\\necho GPU-far-0, NVIDIA L4, 23034\\n' > /bin/nvidia-smi"
        recipe = f"FROM busybox:latest\n{script} && chmod +x /bin/nvidia-smi\n"
        far.docker("build", "--tag", "probe:latest", "-", stdin=recipe.encode())
        home = tmp_path_factory.mktemp("home")
        ssh = SshServer(home, str(far.socket))
        stack.callback(ssh.close)
        server = stack.enter_context(
            jupyter.jupyter_server(
                docker_host=near.url,
                lab=True,
                environ={"HOME": str(home), "SSH_AUTH_SOCK": ""},
                config={"ContainerDefaults": {"init": False, "probe_image": "probe:latest"}},
            )
        )
        set_setting(server, "apputils-extension:notification", fetchNews="false")
        yield Hosts(server, far, ssh)


@pytest.fixture
def hosts(one_desk: Hosts) -> Iterator[Hosts]:
    """The desk, which has its own engine alone before and after."""
    key = one_desk.ssh.host_key
    yield one_desk
    if one_desk.ssh.host_key is not key:
        one_desk.ssh.show(key)
    one_desk.far.clean()
    with one_desk.server.client() as client:
        for device in client.get("devices").json()["devices"][1:]:
            client.delete(f"devices/{device['did']}?force=true").raise_for_status()


def problem(lab: Lab, label: str) -> Locator:
    """What is said to be wrong at a field of the dialog."""
    field = lab.page.get_by_label(label, exact=True)
    return lab.dialog().locator(".jx-Field").filter(has=field).locator(".jx-Problem")


def narrow(lab: Lab, width: int = NARROW) -> None:
    """Drag the side bar's edge until the panel has this width."""
    mouse = lab.page.mouse
    for _ in range(3):
        box = lab.panel.bounding_box()
        assert box is not None
        right, middle = box["x"] + box["width"], box["y"] + box["height"] / 2
        mouse.move(right + 1, middle)
        mouse.down()
        mouse.move(right + 1 - (box["width"] - width), middle, steps=4)
        mouse.up()
    box = lab.panel.bounding_box()
    assert box is not None
    assert abs(box["width"] - width) < 3


def test_a_host_is_added_drained_renamed_and_removed(open_lab: OpenLab, hosts: Hosts) -> None:
    lab = open_lab(hosts.server)
    view(lab, "Admin")
    own = row(lab, "local, ready")
    expect(own).to_contain_text("this machine")
    expect(own.get_by_role("meter", name="Mem")).to_have_attribute(
        "aria-valuetext", re.compile(r"^\S+ \S+ of \S+ GB$")
    )

    lab.button("Add a device").click()
    submit(lab, "Add the device")
    expect(problem(lab, "Name")).to_have_text("This is needed.")
    expect(problem(lab, "Address")).to_have_text("This is needed.")
    lab.dialog().get_by_label("Name", exact=True).fill("gpu2")
    address = lab.dialog().get_by_label("Address", exact=True)
    address.fill("gpu2.lab")
    submit(lab, "Add the device")
    expect(problem(lab, "Address")).to_contain_text("must be ssh://user@host or tcp://host:port")
    expect(address).to_have_attribute("aria-invalid", "true")
    address.fill("ssh://me@127.0.0.1:1")
    submit(lab, "Add the device")
    expect(problem(lab, "Address")).to_contain_text("Is the address right")
    address.fill("tcp://127.0.0.1:2376")
    submit(lab, "Add the device")
    expect(problem(lab, "Certificates")).to_contain_text("without TLS")
    lab.dialog().get_by_label("Certificates", exact=True).fill("/nowhere")
    submit(lab, "Add the device")
    expect(problem(lab, "Certificates")).to_contain_text("ca.pem is no file there")

    # Nobody logs in there before the key is confirmed.
    tried = len(hosts.ssh.logins)
    address.fill(hosts.ssh.address)
    key = lab.dialog().get_by_role("group", name="The host shows this key")
    expect(key).to_have_count(0)
    submit(lab, "Add the device")
    expect(key).to_contain_text(hosts.ssh.fingerprint)
    submit(lab, "Add the device")
    expect(key.get_by_role("alert")).to_have_text("Confirm that this is the host’s key.")
    assert (hosts.names(), len(hosts.ssh.logins)) == (["local"], tried)
    # A key of another address says nothing of this one.
    address.fill(f"{hosts.ssh.address}1")
    expect(key).to_have_count(0)
    address.fill(hosts.ssh.address)
    key.get_by_label("It is the host’s key").check()
    submit(lab, "Add the device")
    expect(lab.dialog()).to_have_count(0)
    far = row(lab, "gpu2, ready")
    expect(far).to_contain_text(hosts.ssh.address)
    since = far.locator("time")
    expect(since).to_have_text("just now")
    expect(since).to_have_attribute("title", re.compile(r"^Since .*\d{4}"))
    expect(far).to_contain_text("1 of 1 free")

    # What others do there shows by itself.
    hosts.make("there", gid="auto")
    expect(far).to_contain_text("0 of 1 free")
    expect(far).to_contain_text("1 container")

    lab.choose(far, "Drain…")
    expect(lab.dialog()).to_contain_text("Drain gpu2?")
    expect(lab.dialog()).to_contain_text("1 container that is on it runs on.")
    submit(lab, "Cancel")
    assert hosts.state("gpu2") == "ready"
    lab.choose(far, "Drain…")
    submit(lab, "Drain")
    drained = row(lab, "gpu2, draining")
    expect(drained).to_contain_text("1 container is left on it.")
    assert hosts.state("gpu2") == "draining"
    lab.choose(drained, "Take Back into Use")
    expect(far).to_be_visible()
    assert hosts.state("gpu2") == "ready"

    lab.choose(far, "Change…")
    lab.dialog().get_by_label("Name", exact=True).fill("local")
    submit(lab, "Change the device")
    expect(problem(lab, "Name")).to_have_text("is taken")
    lab.dialog().get_by_label("Name", exact=True).fill("big")
    submit(lab, "Change the device")
    renamed = row(lab, "big, ready")
    expect(renamed).to_be_visible()
    # Whose GPU it is stands beside it, since there is more than one device.
    view(lab, "Compute")
    expect(lab.panel.locator(".jx-Gpu")).to_contain_text("big · there")
    view(lab, "Admin")

    lab.choose(renamed, "Remove…")
    expect(lab.dialog()).to_contain_text("Remove big?")
    expect(lab.dialog()).to_contain_text("1 container is on it.")
    submit(lab, "Remove")
    expect(lab.dialog().get_by_role("alert")).to_contain_text("1 container is left on big")
    assert hosts.names() == ["local", "big"]
    lab.dialog().get_by_label("Forget its 1 container").check()
    submit(lab, "Remove")
    expect(lab.dialog()).to_have_count(0)
    expect(renamed).to_have_count(0)
    assert hosts.names() == ["local"]
    [still] = json.loads(hosts.far.docker("inspect", "admin.there"))
    assert still["State"]["Running"]


def test_what_is_on_a_lost_host_offers_nothing_that_can_not_work(
    open_lab: OpenLab, hosts: Hosts
) -> None:
    added = hosts.add()
    hosts.make("there", device=added["did"])
    lab = open_lab(hosts.server)
    lab.expect_status("there", "running")
    right = hosts.ssh.host_key
    hosts.ssh.show(paramiko.ECDSAKey.generate())
    lab.expect_status("there", "lost", 40)
    there = lab.row("there")
    expect(there.locator(".jx-Status")).to_have_class(re.compile("jx-mod-bad"))
    expect(there.get_by_role("status")).to_contain_text(f"Device {added['did']} does not answer.")
    buttons = there.get_by_role("button").evaluate_all("all => all.map(each => each.title)")
    assert buttons == ["Show details of there", "More for there"]
    there.get_by_role("button", name="More for there").click()
    for name in ("Start", "Show Logs", "Save as Image…", "Delete…"):
        item = lab.page.get_by_role("menuitem", name=name, exact=True)
        expect(item).to_have_attribute("aria-disabled", "true")
    lab.page.keyboard.press("Escape")
    there.get_by_title("Show details of there", exact=True).click()
    details = lab.page.locator(".jx-Details")
    expect(details.get_by_role("status").first).to_contain_text("It may still run there")
    for name in ("Start", "Restart", "Logs", "Terminal", "Save as image", "Delete"):
        expect(details.get_by_role("button", name=name, exact=True)).to_be_disabled()

    view(lab, "Admin")
    lost = row(lab, "gpu2, lost")
    expect(lost).to_contain_text("shows another key")
    expect(lost).to_contain_text("if it never will, remove it")
    hosts.ssh.show(right)
    expect(row(lab, "gpu2, ready")).to_be_visible(timeout=40_000)
    view(lab, "Compute")
    lab.expect_status("there", "running")
    expect(lab.button("Stop there")).to_be_enabled()


def test_a_gpu_that_a_task_of_the_swarm_has_is_taken_by_outside(
    open_lab: OpenLab, hosts: Hosts
) -> None:
    added = hosts.add()
    lab = open_lab(hosts.server)
    gpu = lab.panel.locator(".jx-Gpu")
    expect(gpu).to_have_attribute("data-state", "free")
    # Who looks at the swarm's tasks writes it down so; no swarm is needed to show it.
    with sqlite3.connect(hosts.server.home / "store.db") as store:
        store.execute('UPDATE gpus SET "foreign" = 1 WHERE device = ?', (added["did"],))
    with hosts.server.client() as client:
        client.put("devices/gpu2", json={"draining": True}).raise_for_status()
    expect(gpu).to_have_attribute("data-state", "taken")
    expect(gpu).to_have_attribute("aria-label", re.compile(", NVIDIA L4, taken, outside$"))
    line = gpu.locator(".jx-Row-line")
    expect(line).to_have_text("gpu2 · outside")
    expect(line).to_have_attribute("title", re.compile("A task of the swarm has it"))
    view(lab, "Admin")
    expect(row(lab, "gpu2, draining")).to_contain_text("0 of 1 free")


def test_nobody_else_sees_devices_or_asks_for_them(open_lab: OpenLab, hosts: Hosts) -> None:
    add_user(hosts.server, "eve")
    asked: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: asked.append(str(frame)))

    def hear(request: Request) -> None:
        asked.append(request.url)

    def watch(page: Page) -> None:
        page.on("websocket", listen)
        page.on("request", hear)

    context = open_context(open_lab)
    token = login(hosts.server, "eve").json()["token"]
    context.add_init_script(f"({AS_SOMEBODY})({[hosts.server.user_key('eve'), token]!r})")
    context.on("page", watch)
    lab = open_lab(hosts.server)
    view(lab, "Account")
    expect(lab.panel.locator(".jx-Who")).to_contain_text("eve")
    expect(lab.panel.get_by_role("tab")).to_have_text(["Compute", "Data", "Account"])
    expect(lab.panel.get_by_text("Devices")).to_have_count(0)
    lab.page.keyboard.press("Control+Shift+C")
    lab.page.locator(".jp-ModalCommandPalette input").fill("Add Device")
    expect(lab.page.locator(".jp-ModalCommandPalette").get_by_text("Add Device…")).to_have_count(0)
    # What was asked is heard here at all.
    assert any('"topic":"gpus"' in each for each in asked)
    assert not any("/api/v1/devices" in each or '"devices"' in each for each in asked)


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
def test_devices_are_readable_in_a_narrow_panel(
    theme: str, open_lab: OpenLab, hosts: Hosts
) -> None:
    hosts.add()
    with hosts.server.client() as client:
        client.put("devices/gpu2", json={"draining": True}).raise_for_status()
    set_setting(hosts.server, "apputils-extension:themes", theme=theme)
    lab = open_lab(hosts.server)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    view(lab, "Admin")
    narrow(lab)
    expect(row(lab, "gpu2, draining")).to_be_visible()
    devices = lab.panel.locator(".jx-Panel-section").filter(has=lab.page.locator(".jx-Device"))
    readable(devices.locator(".jx-Device"))
    assert devices.evaluate(OVERFLOWING) == []
    lab.button("Add a device").click()
    lab.dialog().get_by_label("Name", exact=True).fill("gpu3")
    lab.dialog().get_by_label("Address", exact=True).fill(hosts.ssh.address)
    submit(lab, "Add the device")
    expect(lab.dialog().get_by_role("group")).to_contain_text("SHA256:")
    readable(lab.dialog())


def test_keyboard_alone_drains_a_host(open_lab: OpenLab, hosts: Hosts) -> None:
    hosts.add()
    lab = open_lab(hosts.server)
    view(lab, "Admin")
    row(lab, "local, ready").focus()
    lab.page.keyboard.press("ArrowDown")
    expect(row(lab, "gpu2, ready")).to_be_focused()
    lab.page.keyboard.press("Enter")
    lab.page.wait_for_function("document.activeElement.closest('.lm-Menu') !== null")
    lab.page.keyboard.press("d")
    menu = lab.page.get_by_role("menu")
    expect(menu.locator(".lm-mod-active")).to_have_text("Drain…")
    lab.page.keyboard.press("Enter")
    lab.answer("Drain gpu2?", "Drain")
    drained = row(lab, "gpu2, draining")
    expect(drained).to_be_visible()
    drained.focus()
    lab.page.keyboard.press("Delete")
    lab.answer("Remove gpu2?", "Remove")
    expect(drained).to_have_count(0)
    assert hosts.names() == ["local"]
