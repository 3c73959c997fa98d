"""What databases, their owners and users may be called, over REST and by ``pig``."""

from __future__ import annotations

import io
import json
import sys

import httpx
import pytest

from ..cli.conftest import Pig, in_process
from .conftest import PASSWORD, Desk
from .test_databases import listed, run

pytestmark = pytest.mark.postgres

HOSTILE = [
    "'; DROP ROLE dba; -- $(touch /tmp/jx-owned) `id`",
    'it\'s "quoted"',
    "a/b?c#d%2F&e=f",
    "Ünïcode 名前 🎉",
    "two words",
    "--force",
    "x\0y",
    "x\ny",
    "\ud800",
    "\udcff",
    "",
    "é" * 32,
    "x" * 64,
    "x" * 65,
]


def sent(client: httpx.Client, path: str, **body: object) -> httpx.Response:
    """Post what may hold half a character."""
    headers = {"Content-Type": "application/json"}
    return client.post(path, content=json.dumps(body), headers=headers)


@pytest.fixture
def pig(desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pig:
    """Run the program in this process, as the administrator."""
    return in_process(desk.server.url, desk.server.key(), monkeypatch, capsys)


@pytest.mark.parametrize("owner", HOSTILE)
def test_an_owner_is_a_user_or_is_named(desk: Desk, pig: Pig, owner: str) -> None:
    before = listed(desk.admin)
    reply = sent(desk.admin, "databases", name="x", owner=owner)

    details = reply.json()["error"]["details"]
    assert (reply.status_code, details) == (404, {"owner": owner}) or (
        reply.status_code == 400 and list(details) == ["owner"]
    ), reply.text
    refused = pig("db", "create", "x", f"--owner={owner}")
    assert refused.code in (2, 3) and refused.out == "", refused
    assert listed(desk.admin) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_a_user_name_that_is_none_is_refused_at_its_field(
    desk: Desk, pig: Pig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = desk.admin.get("users").json()
    reply = sent(desk.admin, "users", username=name, password=PASSWORD)

    assert reply.status_code == 400, reply.text
    assert list(reply.json()["error"]["details"]) == ["username"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD))
    refused = pig("user", "create", "--password-stdin", "--", name)
    assert refused.code == 2 and ("username: " in refused.err or "UTF-8" in refused.err), refused
    for command in (("user", "show"), ("user", "delete", "-y"), ("db", "drop", "-y")):
        missing = pig(*command, "--", name)
        assert missing.code in (2, 3) and missing.out == "", missing
    assert desk.admin.get("users").json() == before


def test_a_name_of_a_user_becomes_a_role_of_their_own(desk: Desk) -> None:
    names = ["none", "current_user", "a--b", "x" * 32]
    for name in names:
        with desk.user(name) as user:
            url = desk.made(user, f"of {name}")["connection_url"]
            roles = "FROM pg_roles WHERE rolname = session_user"
            [(role, above)] = run(url, f"SELECT rolname::text, rolsuper OR rolcreaterole {roles}")
            assert str(role).removeprefix("user.") == name and above is False
            assert set(listed(user)) == {f"of {name}"}
    for name in names:
        assert desk.admin.delete(f"users/{name}?purge=true").status_code == 200


@pytest.mark.parametrize("longest", ["n" * 63, "é" * 31 + "n", "; rm -rf x" + "n" * 53])
def test_what_postgresql_would_cut_off_is_another_name(desk: Desk, pig: Pig, longest: str) -> None:
    made = pig("db", "create", "--json", "--", longest)
    assert made.code == 0, made.err
    longer = f"{longest}n"

    for words in (
        ("create", "--", longer),
        ("drop", "--yes", "--", longer),
        ("clone", "--", longer, "x"),
        ("clone", "--", longest, longer),
    ):
        refused = pig("db", *words)
        assert refused.code in (2, 3) and refused.out == "", (words, refused)

    assert run(json.loads(made.out)["connection_url"], "SELECT current_database()") == [(longest,)]
    assert pig("db", "drop", "--yes", "--", longest).code == 0
    assert longest not in listed(desk.admin)


def test_an_address_that_is_no_text_is_told_by_its_field(desk: Desk) -> None:
    for path, field in (("databases/%ff", "name"), ("users/%ed%a0%80", "username")):
        reply = desk.admin.delete(path)
        assert reply.status_code == 400, reply.text
        assert reply.json()["error"]["details"] == {field: "is not UTF-8"}
    assert "Traceback" not in desk.server.log
