"""Databases in the panel: made, used, cloned and deleted in a real cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pytest
from playwright.sync_api import Locator, expect

from ..conftest import MakeServer
from ..engines import clusters, jupyter
from ..engines.jupyter import JupyterServer
from ..postgres.conftest import settings
from .conftest import OpenLab
from .lab import THEMES, Lab, set_setting
from .test_devices import OVERFLOWING, narrow, problem
from .test_people import (
    AS_SOMEBODY,
    add_user,
    clipboard,
    login,
    open_context,
    readable,
    submit,
    view,
)

pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.timeout(180)]

NAME = 'lab/Größe "1"'
"""Whatever can be printed is a name: nothing may forget to quote it."""


@pytest.fixture(scope="module")
def one_desk() -> Iterator[JupyterServer]:
    """JupyterLab whose databases lie in a cluster of its own."""
    with (
        clusters.cluster_folder() as folder,
        jupyter.jupyter_server(config=settings(folder), lab=True) as server,
    ):
        set_setting(server, "apputils-extension:notification", fetchNews="false")
        yield server


@pytest.fixture
def desk(one_desk: JupyterServer) -> Iterator[JupyterServer]:
    """The server, without databases afterwards."""
    yield one_desk
    for name in listed(one_desk):
        delete(one_desk, name)


def listed(server: JupyterServer) -> list[str]:
    with server.client() as client:
        found = client.get("databases").json()["databases"]
    return sorted(each["name"] for each in found if not each["system"])


def make(server: JupyterServer, name: str, **more: object) -> str:
    with server.client() as client:
        reply = client.post("databases", json={"name": name, **more})
        assert reply.status_code == 201, reply.text
        return str(reply.json()["connection_url"])


def delete(server: JupyterServer, name: str) -> None:
    path = f"databases/{quote(name, safe='')}"
    with server.client() as client:
        client.delete(path, params={"force": "true"}).raise_for_status()


def row(lab: Lab, name: str) -> Locator:
    return lab.panel.locator(".jx-Database").and_(
        lab.panel.get_by_role("listitem", name=name, exact=True)
    )


def as_somebody(open_lab: OpenLab, server: JupyterServer, name: str) -> None:
    """Let the panel of the next tab be somebody else's."""
    add_user(server, name)
    token = login(server, name).json()["token"]
    key = server.user_key(name)
    open_context(open_lab).add_init_script(f"({AS_SOMEBODY})({json.dumps([key, token])})")


def test_a_database_is_made_its_address_copied_and_a_notebook_opened_in_it(
    open_lab: OpenLab, desk: JupyterServer
) -> None:
    lab = open_lab(desk)
    view(lab, "Data")
    notice = lab.panel.get_by_role("status").filter(has_text="No databases yet")
    expect(notice).to_contain_text("outlive kernels")

    notice.get_by_role("button", name="New database").click()
    submit(lab, "Make the database")
    expect(problem(lab, "Name")).to_have_text("This is needed.")
    lab.dialog().get_by_label("Name", exact=True).fill(NAME)
    lab.dialog().get_by_label("Extensions", exact=True).fill("plpgsql, nonesuch")
    submit(lab, "Make the database")
    expect(problem(lab, "Extensions")).to_have_text(
        "the extension 'nonesuch' is not installed on the server"
    )
    lab.dialog().get_by_label("Extensions", exact=True).fill("")
    submit(lab, "Make the database")

    ready = lab.dialog().filter(has_text=f"{NAME} is ready")
    ready.get_by_role("button", name="Copy connection URL").click()
    expect(ready.get_by_role("button", name="Copied")).to_be_visible()
    url = clipboard(lab)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (NAME,)
    password = urlsplit(url).password
    assert password

    submit(lab, "Open a notebook")
    cells = lab.page.locator(".jp-Notebook .jp-CodeCell")
    expect(cells).to_have_count(2)
    expect(cells.first).to_contain_text(f"%database use '{NAME}'")
    expect(cells.last).to_contain_text("psycopg.connect()")
    expect(lab.page.locator("#jp-main-statusbar")).to_contain_text(
        re.compile(r"Python 3 \(ipykernel\) \| Idle"), timeout=60_000
    )
    # Nothing was run, and nothing tells the password.
    for number in range(2):
        expect(cells.nth(number).locator(".jp-InputPrompt")).to_have_text("[ ]:")
    (saved,) = desk.folder.glob("*.ipynb")
    assert json.loads(saved.read_text())["metadata"]["kernelspec"]["name"] == "python3"
    assert password not in unquote(saved.read_text())
    assert password not in unquote(lab.page.content())
    cells.first.locator(".cm-content").click()
    lab.page.keyboard.press("Shift+Enter")
    lab.page.keyboard.press("Shift+Enter")
    expect(cells.nth(1).locator(".jp-OutputArea-output")).to_contain_text(NAME, timeout=30_000)
    expect(row(lab, NAME)).to_contain_text("MB")
    expect(lab.panel.get_by_text("Databases (1)", exact=True)).to_be_visible()


def test_what_is_wrong_of_a_database_to_be_is_said_beside_its_field(
    open_lab: OpenLab, desk: JupyterServer
) -> None:
    url = make(desk, "mydb")
    lab = open_lab(desk)
    view(lab, "Data")
    expect(row(lab, "mydb")).to_be_visible()
    lab.button("New database").click()
    lab.dialog().get_by_label("Name", exact=True).fill("mydb")
    submit(lab, "Make the database")
    expect(problem(lab, "Name")).to_contain_text("There is a database 'mydb' already.")
    lab.dialog().get_by_label("Name", exact=True).fill("other")
    lab.dialog().get_by_label("Template", exact=True).select_option("mydb")
    with psycopg.connect(url):
        submit(lab, "Make the database")
        expect(problem(lab, "Template")).to_contain_text("sessions are in mydb")
    submit(lab, "Make the database")
    expect(lab.dialog()).to_contain_text("other is ready")
    submit(lab, "Close")
    assert listed(desk) == ["mydb", "other"]


def test_a_database_is_cloned_and_deleted_while_somebody_is_in_it(
    open_lab: OpenLab, desk: JupyterServer
) -> None:
    url = make(desk, "mydb")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE runs AS SELECT 1 AS loss")
    lab = open_lab(desk)
    view(lab, "Data")
    lab.choose(row(lab, "mydb"), "Copy Connection URL")
    expect(lab.page.get_by_text("The connection URL of mydb is copied")).to_be_visible()
    assert clipboard(lab) == url

    lab.choose(row(lab, "mydb"), "Clone…")
    lab.dialog().get_by_label("Name of the copy", exact=True).fill("mydb")
    submit(lab, "Clone")
    expect(problem(lab, "Name of the copy")).to_contain_text("already")
    lab.dialog().get_by_label("Name of the copy", exact=True).fill("copy")
    lab.dialog().get_by_label("Its tables without their rows").check()
    submit(lab, "Clone")
    expect(lab.dialog()).to_contain_text("copy is ready")
    submit(lab, "Close")
    expect(row(lab, "copy")).to_be_visible()

    session = psycopg.connect(url.removesuffix("mydb") + "copy")
    assert session.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    lab.choose(row(lab, "copy"), "Delete…")
    expect(lab.dialog()).to_contain_text("Only a backup that has it")
    lab.dialog().get_by_label("Type copy to delete it").fill("mydb")
    submit(lab, "Delete")
    expect(problem(lab, "Type copy to delete it")).to_have_text("This is not its name.")
    lab.dialog().get_by_label("Type copy to delete it").fill("copy")
    submit(lab, "Delete")
    expect(lab.dialog().get_by_role("alert")).to_contain_text("1 session is in copy")
    assert "copy" in listed(desk)
    lab.dialog().get_by_label("End the sessions that are in it").check()
    submit(lab, "Delete")
    expect(lab.dialog()).to_have_count(0)
    expect(row(lab, "copy")).to_have_count(0)
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    assert listed(desk) == ["mydb"]


def test_what_others_make_and_delete_shows_at_once(open_lab: OpenLab, desk: JupyterServer) -> None:
    lab = open_lab(desk)
    view(lab, "Data")
    expect(lab.panel.get_by_text("No databases yet")).to_be_visible()
    make(desk, NAME)
    expect(row(lab, NAME)).to_be_visible()
    delete(desk, NAME)
    expect(row(lab, NAME)).to_have_count(0)


def test_postgresqls_own_databases_are_listed_and_stay(
    open_lab: OpenLab, desk: JupyterServer
) -> None:
    make(desk, "zebra")
    lab = open_lab(desk)
    view(lab, "Data")
    names = lab.panel.locator(".jx-Database .jx-Title")
    expect(names).to_have_text(["zebra", "postgres", "template1"])
    own = row(lab, "postgres, PostgreSQL’s own")
    own.get_by_role("button", name=re.compile("^More for")).click()
    menu = lab.page.get_by_role("menu")
    expect(menu.get_by_role("menuitem", name="Clone…")).to_be_visible()
    expect(menu.get_by_role("menuitem", name="Delete…")).to_have_count(0)
    lab.page.keyboard.press("Escape")
    own.focus()
    lab.page.keyboard.press("Delete")
    lab.page.wait_for_timeout(500)
    expect(lab.dialog()).to_have_count(0)


def test_a_user_sees_and_makes_their_own(open_lab: OpenLab, desk: JupyterServer) -> None:
    make(desk, "mydb")
    as_somebody(open_lab, desk, "eve")
    lab = open_lab(desk)
    view(lab, "Data")
    expect(lab.panel.get_by_text("No databases yet")).to_be_visible()
    lab.button("New database").first.click()
    expect(lab.dialog().get_by_label("Name", exact=True)).to_be_focused()
    expect(lab.dialog().get_by_label("Owner", exact=True)).to_have_count(0)
    expect(lab.dialog().get_by_label("Template", exact=True)).to_have_count(0)
    lab.dialog().get_by_label("Name", exact=True).fill("hers")
    lab.page.keyboard.press("Enter")
    expect(lab.dialog()).to_contain_text("hers is ready")
    expect(lab.dialog().get_by_role("button", name="Copy connection URL")).to_be_focused()
    lab.page.keyboard.press("Enter")
    expect(lab.dialog().get_by_role("button", name="Copied")).to_be_visible()
    submit(lab, "Close")
    expect(lab.panel.locator(".jx-Database .jx-Title")).to_have_text(["hers"])
    assert listed(desk) == ["hers", "mydb"]


def test_keyboard_alone_walks_the_databases_and_deletes_one(
    open_lab: OpenLab, desk: JupyterServer
) -> None:
    for name in ("one", "two"):
        make(desk, name)
    lab = open_lab(desk)
    keyboard = lab.page.keyboard
    lab.palette("Show Databases")
    row(lab, "one").focus()
    keyboard.press("ArrowDown")
    expect(row(lab, "two")).to_be_focused()
    keyboard.press("Delete")
    expect(lab.dialog().get_by_label("Type two to delete it")).to_be_focused()
    keyboard.type("two")
    lab.answer("Delete two?", "Delete")
    expect(row(lab, "two")).to_have_count(0)
    assert listed(desk) == ["one"]


def test_what_is_not_installed_is_said_with_its_cure(
    make_server: MakeServer, open_lab: OpenLab, tmp_path: Path
) -> None:
    server = make_server(config=settings(tmp_path, programs=str(tmp_path)), lab=True)
    set_setting(server, "apputils-extension:notification", fetchNews="false")
    lab = open_lab(server)
    view(lab, "Data")
    section = lab.panel.locator(".jx-Panel-section:visible").first
    notice = section.get_by_role("status")
    expect(notice).to_contain_text(f"PostgreSQL is not installed in {tmp_path}.")
    expect(notice.locator("code").first).to_have_text("sudo apt-get install postgresql")
    expect(section.get_by_role("alert")).to_have_count(0)
    notice.get_by_role("button", name="Try again").click()
    expect(notice).to_contain_text("PostgreSQL is not installed")
    lab.button("New database").click()
    lab.dialog().get_by_label("Name", exact=True).fill("mydb")
    submit(lab, "Make the database")
    expect(lab.dialog().get_by_role("alert")).to_contain_text("PostgreSQL is not installed")


@pytest.mark.parametrize("theme", THEMES)
def test_databases_are_readable_in_a_narrow_panel(
    theme: str, open_lab: OpenLab, desk: JupyterServer
) -> None:
    make(desk, NAME)
    make(desk, "a_name_that_is_longer_than_any_panel_is_wide_0123456789")
    set_setting(desk, "apputils-extension:themes", theme=theme)
    lab = open_lab(desk)
    expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    view(lab, "Data")
    narrow(lab)
    expect(row(lab, NAME)).to_be_visible()
    section = lab.panel.locator(".jx-Panel-section:visible").first
    readable(section.locator(".jx-Database"))
    assert section.evaluate(OVERFLOWING) == []
    lab.button("New database").click()
    submit(lab, "Make the database")
    readable(lab.dialog())
    lab.page.keyboard.press("Escape")
    lab.choose(row(lab, NAME), "Delete…")
    submit(lab, "Delete")
    readable(lab.dialog())
