"""The panel about people: one's own keys, and what administrators look after."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from ..engines import jupyter
from ..engines.dockerd import Dockerd
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting
from .test_panel import CONTRAST

pytestmark = [pytest.mark.browser, pytest.mark.docker, pytest.mark.timeout(300)]

PASSWORD = "correct horse battery"

AS_SOMEBODY = """([key, token]) => {
  // JupyterLab itself stays logged in as it is; only our routes see somebody else.
  const ours = url => String(url.url ?? url).includes('/api/v1/');
  const send = window.fetch;
  window.fetch = (input, init) => {
    if (!ours(input)) {
      return send(input, init);
    }
    const request = new Request(input, init);
    request.headers.delete('Authorization');
    request.headers.set('X-API-Key', key);
    return send(request);
  };
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(url, protocols) {
      super(ours(url) ? String(url).split('?')[0] + '?token=' + token : url, protocols);
    }
  };
}"""


def view(lab: Lab, name: str) -> None:
    lab.panel.get_by_role("tab", name=name, exact=True).click()


def row(lab: Lab, name: str) -> Locator:
    return lab.panel.get_by_role("listitem", name=name, exact=True)


def submit(lab: Lab, button: str) -> None:
    lab.dialog().get_by_role("button", name=button, exact=True).click()


def clipboard(lab: Lab) -> str:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for _ in range(50):
        text: str = lab.page.evaluate("navigator.clipboard.readText()")
        if text:
            break
        # It is written a moment after the button was pressed.
        lab.page.wait_for_timeout(100)
    return text


@pytest.fixture
def eve(lab_server: jupyter.JupyterServer) -> Iterator[str]:
    """A user, gone afterwards with all of theirs."""
    add_user(lab_server, "eve")
    yield "eve"
    with lab_server.client() as client:
        client.delete("/users/eve", params={"purge": "true"})


def add_user(server: jupyter.JupyterServer, name: str, role: str = "user") -> None:
    body = {"username": name, "password": PASSWORD, "role": role, "email": f"{name}@example.org"}
    with server.client() as client:
        client.post("/users", json=body).raise_for_status()


def test_key_is_made_copied_used_and_revoked(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    view(lab, "Account")
    expect(lab.panel.locator(".jx-Who")).to_contain_text("admin")
    expect(lab.panel.locator(".jx-Who")).to_contain_text("logged in through Jupyter")

    lab.button("New API key").click()
    submit(lab, "Create key")
    expect(lab.dialog().get_by_role("alert")).to_have_text("This is needed.")
    lab.dialog().get_by_label("Name").fill("laptop")
    lab.dialog().get_by_label("Expires").select_option("30")
    lab.dialog().get_by_label("Access").select_option("chosen")
    submit(lab, "Create key")
    expect(lab.dialog().get_by_role("alert")).to_have_text("Choose at least one thing.")
    lab.dialog().get_by_label("Containers").select_option("read")
    submit(lab, "Create key")

    expect(lab.dialog()).to_contain_text("you will not see it again")
    lab.dialog().get_by_role("button", name="Copy the key").click()
    key = clipboard(lab)
    assert key.startswith("jx_")
    lab.dialog().get_by_role("button", name="Copy the command").click()
    curl = clipboard(lab)
    submit(lab, "I have copied it")
    assert key not in lab.page.content()
    said = subprocess.run(["sh", "-c", f"{curl} -sf --noproxy '*'"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert '"items":' in said.stdout

    def ask(path: str, method: str = "GET") -> int:
        headers = {"X-API-Key": key}
        url = f"{lab_server.api}{path}"
        return httpx.request(method, url, headers=headers, trust_env=False).status_code

    assert ask("/images") == 403
    expect(row(lab, "laptop")).to_contain_text(key[:9])
    expect(row(lab, "laptop")).to_contain_text("expires in 30 days")
    expect(row(lab, "laptop")).to_contain_text("1 scope")

    lab.button("Revoke laptop").click()
    expect(lab.dialog()).to_contain_text("Revoke laptop?")
    submit(lab, "Cancel")
    assert ask("/containers") == 200
    lab.button("Revoke laptop").click()
    submit(lab, "Revoke")
    expect(row(lab, "laptop")).to_have_count(0)
    assert ask("/containers") == 401


def test_administrator_looks_after_users(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    view(lab, "Admin")

    lab.button("New user").click()
    lab.dialog().get_by_label("Name").fill("Dora!")
    lab.dialog().get_by_role("button", name="Make one up").click()
    submit(lab, "Add the user")
    expect(lab.dialog().get_by_role("alert")).to_contain_text("small letter")
    lab.dialog().get_by_label("Name").fill("dora")
    lab.dialog().get_by_label("Role", exact=True).select_option("viewer")
    submit(lab, "Add the user")
    expect(row(lab, "dora")).to_contain_text("viewer · never logged in")

    lab.choose(row(lab, "dora"), "Change Role…")
    lab.dialog().get_by_label("Role", exact=True).select_option("user")
    submit(lab, "Change the role")
    expect(row(lab, "dora")).to_contain_text("user ·")

    lab.choose(row(lab, "dora"), "Reset Password…")
    lab.dialog().get_by_label("Password", exact=True).fill("short")
    submit(lab, "Set the password")
    expect(lab.dialog().get_by_role("alert")).to_contain_text("characters")
    lab.dialog().get_by_label("Password", exact=True).fill(PASSWORD)
    submit(lab, "Set the password")
    expect(lab.dialog()).to_have_count(0)
    assert login(lab_server, "dora").status_code == 200
    expect(row(lab, "dora")).to_be_visible()

    lab.choose(row(lab, "dora"), "Disable")
    expect(row(lab, "dora, disabled")).to_be_visible()
    assert login(lab_server, "dora").status_code in (401, 403)
    lab.choose(row(lab, "dora, disabled"), "Enable")
    expect(row(lab, "dora")).to_be_visible()

    make_container(lab_server, "dora", "doras-web")
    lab.choose(row(lab, "dora"), "Delete…")
    submit(lab, "Delete")
    expect(lab.dialog()).to_contain_text("dora still owns:")
    expect(lab.dialog().get_by_role("listitem")).to_have_text("container doras-web")
    lab.dialog().get_by_label("Give them to").check()
    submit(lab, "Delete")
    expect(row(lab, "dora")).to_have_count(0)
    view(lab, "Compute")
    expect(lab.row("doras-web")).to_be_visible()
    expect(lab.row("doras-web").get_by_title("Owner")).to_have_count(0)


def login(server: jupyter.JupyterServer, name: str) -> httpx.Response:
    body = {"username": name, "password": PASSWORD}
    return httpx.post(f"{server.api}/auth/login", json=body, trust_env=False)


def make_container(server: jupyter.JupyterServer, owner: str, name: str) -> None:
    headers = {"X-API-Key": server.user_key(owner)}
    body = {"name": name, "image": "busybox:latest", "command": ["sleep", "600"]}
    with server.client(headers=headers) as client:
        client.post("/containers", json=body).raise_for_status()


def test_users_change_live(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    view(lab, "Admin")
    expect(row(lab, "admin")).to_contain_text("you")

    add_user(lab_server, "zoe", "operator")
    expect(row(lab, "zoe")).to_contain_text("operator", timeout=5000)
    with lab_server.client() as client:
        client.put("/users/zoe", json={"enabled": False}).raise_for_status()
        expect(row(lab, "zoe, disabled")).to_be_visible(timeout=5000)
        client.delete("/users/zoe").raise_for_status()
    expect(row(lab, "zoe, disabled")).to_have_count(0, timeout=5000)


def test_nobody_else_sees_what_administrators_see(
    eve: str, open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    # She comes first and so goes last: what her tab asks for once she is gone is refused.
    key = lab_server.user_key(eve)
    token = login(lab_server, eve).json()["token"]
    context = open_context(open_lab)
    context.add_init_script(f"({AS_SOMEBODY})({[key, token]!r})")

    lab = open_lab(lab_server)
    view(lab, "Account")
    expect(lab.panel.locator(".jx-Who")).to_contain_text("eve")
    # The key that she uses here.
    expect(row(lab, "tests")).to_be_visible()
    expect(lab.panel.get_by_role("tab")).to_have_text(["Compute", "Data", "Account"])
    expect(lab.panel.get_by_text("Audit")).to_have_count(0)
    lab.button("New API key").click()
    lab.dialog().get_by_label("Name").fill("of eve")
    submit(lab, "Create key")
    submit(lab, "I have copied it")
    expect(row(lab, "of eve")).to_be_visible()
    with lab_server.client() as client:
        keys = client.get("/api-keys", params={"owner": eve}).json()["api_keys"]
    assert {each["name"] for each in keys} == {"tests", "of eve"}


def test_keyboard_alone_makes_and_revokes_a_key(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    lab = open_lab(lab_server)
    keyboard = lab.page.keyboard

    lab.panel.get_by_role("tab", name="Compute").focus()
    keyboard.press("ArrowRight")
    expect(lab.panel.get_by_role("tab", name="Data")).to_be_focused()
    keyboard.press("ArrowRight")
    expect(lab.panel.get_by_role("tab", name="Account")).to_be_focused()
    lab.palette("New API Key…")
    expect(lab.dialog().get_by_label("Name")).to_be_focused()
    keyboard.type("typed")
    keyboard.press("Enter")
    expect(lab.dialog()).to_contain_text("you will not see it again")
    expect(lab.dialog().get_by_role("button", name="Copy the key")).to_be_focused()
    keyboard.press("Enter")
    assert clipboard(lab).startswith("jx_")
    lab.dialog().get_by_role("button", name="I have copied it").focus()
    keyboard.press("Enter")
    expect(lab.dialog()).to_have_count(0)

    row(lab, "typed").focus()
    keyboard.press("Delete")
    lab.answer("Revoke typed?", "Revoke")
    expect(row(lab, "typed")).to_have_count(0)


def test_keyboard_alone_disables_a_user(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd, eve: str
) -> None:
    lab = open_lab(lab_server)
    keyboard = lab.page.keyboard

    lab.panel.get_by_role("tab", name="Compute").focus()
    keyboard.press("ArrowLeft")
    row(lab, eve).focus()
    keyboard.press("Enter")
    menu = lab.page.get_by_role("menu")
    menu.get_by_text("Disable", exact=True).wait_for()
    box, at = menu.bounding_box(), row(lab, eve).bounding_box()
    assert box
    assert at
    assert abs(box["y"] - at["y"]) < 60, "the menu opens elsewhere"
    # It is shown a moment before it takes the keys.
    lab.page.wait_for_function("document.activeElement.closest('.lm-Menu') !== null")
    active = menu.locator(".lm-mod-active")
    for _ in range(8):
        keyboard.press("ArrowDown")
        # As a person would, who sees where the mark is before pressing again.
        lab.page.wait_for_timeout(200)
        if active.get_by_text("Disable", exact=True).count():
            break
    expect(active).to_have_text("Disable")
    keyboard.press("Enter")
    expect(row(lab, "eve, disabled")).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_theme_of_people_is_readable(
    theme: str, open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd, eve: str
) -> None:
    with lab_server.client() as client:
        client.put(f"/users/{eve}", json={"enabled": False}).raise_for_status()
    set_setting(lab_server, "apputils-extension:themes", theme=theme)
    lab = open_lab(lab_server)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)

    view(lab, "Account")
    expect(row(lab, "tests")).to_be_visible()
    readable(lab.panel.locator(".jx-Who, .jx-Key:visible, .jx-Switch"))
    view(lab, "Admin")
    expect(row(lab, "eve, disabled")).to_be_visible()
    readable(lab.panel.locator(".jx-User"))
    lab.button("New user").click()
    submit(lab, "Add the user")
    readable(lab.dialog())


def readable(places: Locator) -> None:
    """Every piece that holds words of its own stands out from what is behind it."""
    words = ".jx-Title, .jx-Row-minor, .jx-Status, .jx-KeyHint, .jx-Switch-tab, .jx-Hint"
    words += ", .jx-Connection-label, .jx-TextButton, .jx-Code code, .jx-Changes-kind"
    words += ", .jx-Waiting, .jx-Meter-label, .jx-Meter-value, .jx-Gpu-number"
    pieces = places.locator(f"{words}, .jx-Chip, .jx-Problem, label")
    assert pieces.count() > 0
    for number in range(pieces.count()):
        piece = pieces.nth(number)
        if re.search(r"\w", piece.inner_text()):
            assert piece.evaluate(CONTRAST) >= 4.5, piece.inner_text()


def open_context(open_lab: OpenLab) -> BrowserContext:
    """The browser profile that `open_lab` opens tabs in."""
    context: BrowserContext = open_lab.context  # type: ignore[attr-defined]
    return context


def test_limits_and_the_audit_are_the_servers_own(
    open_lab: OpenLab, lab_server: jupyter.JupyterServer, engine: Dockerd
) -> None:
    with lab_server.client() as client:
        client.put("/quotas/user:admin", json={"containers": 7}).raise_for_status()
    try:
        lab = open_lab(lab_server)
        view(lab, "Account")
        expect(lab.panel.get_by_text(re.compile(r"^\d of 7$"))).to_be_visible()
        view(lab, "Admin")
        entry = lab.panel.locator(".jx-Audit").first
        expect(entry).to_contain_text("quota:update")
        expect(entry).to_contain_text("admin")
    finally:
        with lab_server.client() as client:
            client.put("/quotas/user:admin", json={"containers": "default"}).raise_for_status()
