"""The commands about people: what they send, and what they show."""

from __future__ import annotations

import io
import json

import pytest

from ..client.speaker import Speaker
from .conftest import Pig

EVE = {
    "id": "user-2",
    "username": "eve",
    "role": "user",
    "email": "eve@example.org",
    "enabled": True,
    "permissions": [],
    "created_at": "2026-01-01T00:00:00Z",
    "last_login": None,
}


def test_a_password_comes_from_standard_input(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker.says("POST /api/v1/users", {"username": "eve", "role": "user"}, 201)
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert pig("user", "create", "eve", "--password-stdin").out == "Made the account eve (user).\n"
    assert speaker.asked[0].json == {"username": "eve", "password": "correct horse"}
    speaker.says("PUT /api/v1/users/eve/password", {"username": "eve"})
    monkeypatch.setattr("sys.stdin", io.StringIO("battery staple\n"))
    assert pig("user", "passwd", "eve", "--password-stdin").code == 0
    assert speaker.asked[1].json == {"password": "battery staple"}


def test_nobody_to_ask_is_wrong_usage(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert "--password-stdin" in pig("user", "create", "eve").err
    assert "--yes" in pig("user", "delete", "eve").err
    assert speaker.asked == []
    speaker.says("DELETE /api/v1/users/eve", {"username": "eve", "status": "deleted"})
    assert pig("user", "delete", "eve", "--yes").out == "Deleted eve.\n"


def test_accounts_are_listed(pig: Pig, speaker: Speaker) -> None:
    adam = {**EVE, "username": "adam", "enabled": False}
    speaker.says("GET /api/v1/users", {"users": [EVE, adam], "total": 2})
    head, eve, other = pig("user", "list").out.splitlines()
    assert head.split()[:4] == ["NAME", "ROLE", "STATUS", "EMAIL"]
    assert eve.split()[:4] == ["eve", "user", "enabled", "eve@example.org"]
    assert other.split()[:3] == ["adam", "user", "disabled"]
    assert json.loads(pig("user", "list", "--json").out) == [EVE, adam]
    assert pig("-q", "user", "list").out == "eve\nadam\n"
    pig("user", "list", "--role", "viewer", "--disabled")
    assert speaker.asked[-1].query["role"] == "viewer"
    assert speaker.asked[-1].query["status"] == "disabled"


def test_one_account_is_shown(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/users/eve", EVE)
    out = pig("user", "show", "eve").out
    assert "eve@example.org" in out
    assert "last login" in out
    assert json.loads(pig("user", "show", "eve", "--json").out) == EVE


@pytest.mark.parametrize(
    ("words", "sent", "said"),
    [
        (["role", "eve", "viewer"], {"role": "viewer"}, "eve has the role viewer.\n"),
        (["disable", "eve"], {"enabled": False}, "eve is disabled.\n"),
        (["enable", "eve"], {"enabled": True}, "eve is enabled.\n"),
    ],
)
def test_an_account_is_changed(
    pig: Pig, speaker: Speaker, words: list[str], sent: object, said: str
) -> None:
    speaker.says("PUT /api/v1/users/eve", {**EVE, "role": "viewer"})
    assert pig("user", *words).out == said
    assert speaker.asked[0].json == sent


def test_what_becomes_of_their_things_is_sent(pig: Pig, speaker: Speaker) -> None:
    speaker.says("DELETE /api/v1/users/eve", {"username": "eve", "status": "deleted"})
    pig("user", "delete", "eve", "--yes")
    assert speaker.asked[-1].query == {}
    pig("user", "delete", "eve", "--yes", "--transfer-to", "adam")
    assert speaker.asked[-1].query == {"transfer_to": "adam"}
    pig("user", "delete", "eve", "--yes", "--purge")
    assert speaker.asked[-1].query == {"purge": "true"}
    assert pig("user", "delete", "eve", "--yes", "--purge", "--transfer-to", "adam").code == 2


def test_whoever_owns_something_is_not_deleted_by_the_way(pig: Pig, speaker: Speaker) -> None:
    said = "eve owns container web. Delete these first, give them to somebody (transfer_to)."
    error = {"code": "CONFLICT", "message": said, "details": {"user": "eve"}}
    speaker.says("DELETE /api/v1/users/eve", {"error": error}, 409)
    ran = pig("user", "delete", "eve", "--yes")
    assert ran.code == 1
    assert "container web" in ran.err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (403, "FORBIDDEN", 4),
        (404, "NOT_FOUND", 3),
        (409, "CONFLICT", 1),
        (400, "INVALID_REQUEST", 2),
    ],
)
def test_a_refusal_is_told_by_the_exit_code(
    pig: Pig, speaker: Speaker, status: int, code: str, exit_code: int
) -> None:
    error = {"code": code, "message": "No.", "details": {"user": "eve"}}
    speaker.says("PUT /api/v1/users/eve", {"error": error}, status)
    assert pig("user", "enable", "eve").code == exit_code


def test_who_the_caller_is(pig: Pig, speaker: Speaker) -> None:
    speaker.says(
        "GET /api/v1/currentUser", {"user": {"id": "user-2", "username": "eve", "role": "user"}}
    )
    assert "eve" in pig("whoami").out
    assert json.loads(pig("whoami", "--json").out)["role"] == "user"


def test_roles(pig: Pig, speaker: Speaker) -> None:
    many = [f"vm:{act}" for act in ("create", "read", "start", "stop", "update", "delete", "x")]
    ops = {"name": "ops", "description": "Night shift", "permissions": many}
    speaker.says("GET /api/v1/roles", {"success": True, "data": {"roles": [ops]}})
    row = pig("role", "list").out.splitlines()[1]
    assert row.startswith("ops   Night shift")
    assert row.endswith("and 1 more")
    reads = {"id": "vm:read", "name": "vm:read", "description": "See virtual machines"}
    speaker.says("GET /api/v1/permissions", {"success": True, "data": {"permissions": [reads]}})
    assert "See virtual machines" in pig("role", "permissions").out
    speaker.says("POST /api/v1/roles", ops, 201)
    made = pig("role", "create", "ops", "-p", "vm:read", "-p", "image:*", "--description", "d")
    assert made.out == "Made the role ops.\n"
    assert speaker.asked[-1].json == {
        "name": "ops",
        "permissions": ["vm:read", "image:*"],
        "description": "d",
    }
    assert pig("role", "create", "ops").code == 2
    speaker.says("DELETE /api/v1/roles/ops", {"name": "ops", "status": "deleted"})
    assert pig("role", "delete", "ops").out == "Deleted the role ops.\n"


def test_invitations(pig: Pig, speaker: Speaker) -> None:
    made = {
        "id": "inv-1",
        "role": "user",
        "email": None,
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-01-08T00:00:00Z",
        "used_at": None,
        "code": "letmein",
    }
    speaker.says("POST /api/v1/invitations", made, 201)
    ran = pig("invitation", "create", "--role", "user", "--days", "7")
    assert ran.out == "letmein\n"
    assert "not shown again" in ran.err
    assert speaker.asked[0].json == {"role": "user", "days": 7}
    listed = {name: value for name, value in made.items() if name != "code"}
    speaker.says("GET /api/v1/invitations", {"invitations": [listed], "total": 1})
    assert pig("invitation", "list").out.splitlines()[1].split()[:2] == ["inv-1", "user"]
    speaker.says("DELETE /api/v1/invitations/inv-1", {"id": "inv-1", "status": "withdrawn"})
    assert pig("invitation", "delete", "inv-1").out == "Took back inv-1.\n"
