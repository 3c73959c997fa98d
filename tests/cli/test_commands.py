"""Each command: what it sends, and what it shows."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from ..client.speaker import Speaker, Talking
from .conftest import Pig

WEB = {
    "id": "c" * 64,
    "cid": 7,
    "name": "web",
    "status": "running",
    "image": "nginx:latest",
    "created_at": "2026-01-01T00:00:00Z",
    "owner": "admin",
    "ports": {"80/tcp": 8080, "9000/tcp": None},
}

LINK = "http://jupyter-7-0.localhost:1/.jupyter_ext/open?ticket=t"


def listed(*items: Any, total: int | None = None) -> dict[str, Any]:
    return {"data": {"total": len(items) if total is None else total, "items": list(items)}}


def test_containers_are_listed(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers", listed(WEB, total=2))
    ran = pig("container", "list")
    head, row, *rest = ran.out.splitlines()
    assert head.split() == ["NAME", "STATUS", "IMAGE", "PORTS", "CREATED", "ID"]
    assert row.startswith("web   running  nginx:latest  8080→80, 9000")
    assert rest == ["1 of 2 are shown."]
    assert json.loads(pig("container", "list", "--json").out) == [WEB]
    assert pig("-q", "container", "list").out == "web\n"


def test_owners_are_shown_where_there_are_several(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers", listed(WEB, {**WEB, "owner": "eve"}))
    assert "OWNER" in pig("container", "list").out


def test_an_empty_list_says_what_to_do(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers", listed())
    ran = pig("container", "list")
    assert (ran.code, ran.out) == (0, "")
    assert "container run IMAGE" in ran.err
    assert pig("container", "list", "--status", "running").err == "No container is running.\n"
    assert json.loads(pig("container", "list", "--json").out) == []


def test_names_can_not_rewrite_the_terminal(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers", listed({**WEB, "image": "a\x1b[2Jb\r\nc[red]d"}))
    out = pig("container", "list").out
    assert "\x1b" not in out
    assert "[red]d" in out
    assert len(out.splitlines()) == 2


def test_run_sends_what_was_written(pig: Pig, speaker: Speaker) -> None:
    speaker.says("POST /api/v1/containers", {"data": WEB})
    words = ["-p", "8080:80", "-e", "A=1", "-v", "/data:/d:ro", "--cpu", "0.5", "--mem", "1g"]
    ran = pig("container", "run", "--name", "web", *words, "nginx:latest", "sleep", "-x", "5")
    assert ran.out == "web is running (8080→80, 9000).\n"
    assert speaker.asked[0].json == {
        "name": "web",
        "image": "nginx:latest",
        "ports": {"80/tcp": 8080},
        "environment": {"A": "1"},
        "volumes": [{"host_path": "/data", "container_path": "/d", "read_only": True}],
        "command": ["sleep", "-x", "5"],
        "cpu": 0.5,
        "mem": 1024,
    }


def test_open_prints_a_link_where_no_person_sits(pig: Pig, speaker: Speaker) -> None:
    link = {
        "url": "http://jupyter-7-0.localhost:1/x?ticket=t",
        "expires_at": "2026-01-01T00:00:00Z",
    }
    speaker.says("POST /api/v1/containers/web/open", {"data": link})
    assert link["url"] in pig("container", "open", "web").out
    assert speaker.asked[0].json == {"service": "jupyter"}
    assert pig("-q", "container", "open", "web", "--service", "tensorboard").out == (
        f"{link['url']}\n"
    )
    assert speaker.asked[1].json == {"service": "tensorboard"}
    assert json.loads(pig("container", "open", "web", "--json").out) == link


def test_open_opens_the_browser_unless_told_not_to(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_url(url: str, new: int) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", open_url)
    monkeypatch.setattr("jupyter_ext.cli.console.TerminalConsole.interactive", True)
    link = {
        "url": "http://jupyter-7-0.localhost:1/x?ticket=t",
        "expires_at": "2026-01-01T00:00:00Z",
    }
    speaker.says("POST /api/v1/containers/web/open", {"data": link})
    assert "Open within a minute" in pig("container", "open", "web", "--no-browser").out
    assert opened == []
    assert "is open in the browser" in pig("container", "open", "web").out
    assert opened == [link["url"]]


def test_run_makes_up_a_name(pig: Pig, speaker: Speaker) -> None:
    speaker.says("POST /api/v1/containers", {"data": WEB})
    pig("container", "run", "localhost:5000/team/busybox:latest")
    assert speaker.asked[0].json["name"].startswith("busybox-")


def test_options_after_the_image_are_not_swallowed(pig: Pig, speaker: Speaker) -> None:
    ran = pig("container", "run", "busybox", "--name", "web")
    assert ran.code == 2
    assert "Put options before the image" in ran.err
    assert speaker.asked == []
    speaker.says("POST /api/v1/containers", {"data": WEB})
    assert pig("container", "run", "busybox", "--", "--name").code == 0
    assert speaker.asked[0].json["command"] == ["--name"]


def test_a_bad_port_is_wrong_usage(pig: Pig) -> None:
    ran = pig("container", "run", "-p", "x", "busybox")
    assert ran.code == 2
    assert "8080:80" in ran.err


@pytest.mark.parametrize("action", ["start", "stop", "restart"])
def test_several_are_changed_at_once(pig: Pig, speaker: Speaker, action: str) -> None:
    speaker.says(f"POST /api/v1/containers/a/{action}", {"data": {**WEB, "name": "a"}})
    speaker.says(f"POST /api/v1/containers/b/{action}", {"data": {**WEB, "name": "b"}})
    assert pig("container", action, "a", "b").out == "a is running.\nb is running.\n"


def test_stop_passes_its_patience_on(pig: Pig, speaker: Speaker) -> None:
    speaker.says("POST /api/v1/containers/web/stop", {"data": WEB})
    pig("container", "stop", "-t", "3", "web")
    assert speaker.asked[0].json == {"timeout": 3}


WAY = {
    "ip": "127.0.0.1",
    "user": "root",
    "ports": {"ssh": 20001, "jupyter": 20002, "tensorboard": None},
    "has_password": True,
}


def test_the_way_in_keeps_the_password_to_itself(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers/web/connection", {"data": WAY})
    shown = pig("container", "connection", "web").out
    assert "ssh -p 20001 root@127.0.0.1" in shown
    assert "http://127.0.0.1:20002" in shown
    assert "TensorBoard" not in shown
    assert "hidden: --password shows it" in shown
    assert speaker.asked[0].query == {}
    speaker.says("GET /api/v1/containers/web/connection", {"data": WAY | {"password": "s3cret"}})
    assert "s3cret" in pig("container", "connection", "web", "--password").out
    assert speaker.asked[1].query == {"password": "true"}


def test_no_way_in_says_how_to_make_one(pig: Pig, speaker: Speaker) -> None:
    nothing = {"ssh": None, "jupyter": None, "tensorboard": None}
    none = WAY | {"ports": nothing, "has_password": False}
    speaker.says("GET /api/v1/containers/web/connection", {"data": none})
    ran = pig("container", "connection", "web")
    assert ran.code == 2
    assert "run --connect" in ran.err


def test_run_asks_for_a_way_in(pig: Pig, speaker: Speaker) -> None:
    speaker.says("POST /api/v1/containers", {"data": WEB})
    pig("container", "run", "--connect", "lab")
    pig("container", "run", "lab")
    assert [asked.json.get("connect") for asked in speaker.asked] == [True, None]


def test_a_container_is_saved(pig: Pig, speaker: Speaker) -> None:
    image = {"tags": ["jupyter-ext/admin/tools:1"], "size": 2_000_000, "public": False}
    speaker.says("POST /api/v1/containers/web/commit", {"data": image})
    ran = pig("container", "save", "web", "tools:1")
    assert ran.out == "Saved as jupyter-ext/admin/tools:1 (2 MB), private.\n"
    assert speaker.asked[0].json == {"name": "tools:1"}
    speaker.says("POST /api/v1/containers/web/commit", {"data": image | {"public": True}})
    assert "for everybody" in pig("container", "save", "--public", "web", "tools:1").out
    assert speaker.asked[1].json == {"name": "tools:1", "public": True}


def test_an_image_is_shared_and_taken_back(pig: Pig, speaker: Speaker) -> None:
    tool = {"id": "sha256:1", "tags": ["jupyter-ext/eve/tool:latest"], "size": 5, "owner": "eve"}
    where = "/api/v1/images/tool/shares"
    speaker.says(f"PUT {where}/ann", {"data": tool | {"shared_with": ["ann"]}})
    speaker.says(f"PUT {where}/bob", {"data": tool | {"shared_with": ["ann", "bob"]}})
    ran = pig("image", "share", "tool", "ann", "bob")
    assert ran.out == "Shared with ann, bob. It is shared with ann, bob.\n"
    speaker.says(f"DELETE {where}/ann", {"data": tool | {"shared_with": []}})
    ran = pig("image", "unshare", "tool", "ann")
    assert ran.out == "Taken back from ann. It is shared with nobody.\n"
    speaker.says("GET /api/v1/images", listed(tool | {"shared_with": ["ann", "bob"]}))
    head, row = pig("image", "list").out.splitlines()
    assert "SHARED WITH" in head
    assert "eve    ann, bob" in row


def test_a_name_that_is_wrong_keeps_no_other_from_an_image(pig: Pig, speaker: Speaker) -> None:
    where = "/api/v1/images/tool/shares"
    speaker.says(f"PUT {where}/ann", {"data": {"shared_with": ["ann"]}})
    ran = pig("image", "share", "tool", "nobody", "ann")
    assert ran.code != 0
    assert ran.out == "Shared with ann. It is shared with ann.\n"
    assert "nobody" in ran.err


def test_rm(pig: Pig, speaker: Speaker) -> None:
    speaker.says("DELETE /api/v1/containers/web", {"data": {"id": "c1"}})
    assert pig("container", "rm", "web").out == "Deleted web.\n"
    assert speaker.asked[0].query == {}
    pig("container", "rm", "-f", "--volumes", "web")
    assert speaker.asked[1].query == {"force": "true", "volumes": "true"}


def test_what_can_not_be_deleted_keeps_nothing_else(pig: Pig, speaker: Speaker) -> None:
    for name in ("web", "db"):
        speaker.says(f"DELETE /api/v1/containers/{name}", {"data": {"id": name}})
    ran = pig("container", "rm", "gone", "web", "lost", "db")
    assert (ran.code, ran.out) == (3, "Deleted web, db.\n")
    assert [line.split("/")[-1].split(".")[0] for line in ran.err.splitlines()] == ["gone", "lost"]


def test_show(pig: Pig, speaker: Speaker) -> None:
    detail = {
        **WEB,
        "config": {"command": ["sleep", "5"], "environment": {"A": "1"}},
        "mounts": [{"host_path": "/x", "container_path": "/y", "read_only": True}],
        "memory_bytes": 64_000_000,
    }
    speaker.says("GET /api/v1/containers/web", {"data": detail})
    out = pig("container", "show", "web").out
    for line in ("command      sleep 5", "folders      /x:/y:ro", "memory       64 MB"):
        assert line in out


def test_logs(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers/web/logs", {"data": {"logs": "one\ntwo\n"}})
    assert pig("container", "logs", "-n", "2", "--since", "10m", "web").out == "one\ntwo\n"
    assert speaker.asked[0].query["tail"] == "2"
    assert speaker.asked[0].query["since"].endswith("Z")


def test_exec_keeps_the_streams_and_the_code(pig: Pig, speaker: Speaker) -> None:
    async def talk(socket: Talking) -> None:
        await socket.say(["stdout", "hello\n"])
        await socket.say(["stderr", "oops\n"])
        await socket.say(["exit", 7])
        await socket.say(["disconnect", 1])

    speaker.sockets["/api/v1/containers/web/exec"] = talk
    ran = pig("container", "exec", "web", "ls", "-l", "a b")
    assert (ran.code, ran.out, ran.err) == (7, "hello\n", "oops\n")
    assert speaker.asked[0].query["cmd"] == "ls -l 'a b'"


def test_exec_passes_standard_input_on(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(socket: Talking) -> None:
        heard = []
        while (frame := await socket.hear())[0] != "stdin_end":
            heard.append(frame[1])
        await socket.say(["stdout", "".join(heard).upper()])
        await socket.say(["exit", 0])
        await socket.say(["disconnect", 1])

    speaker.sockets["/api/v1/containers/web/exec"] = talk
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    ran = pig("container", "exec", "-i", "web", "cat")
    assert (ran.code, ran.out) == (0, "ONE\nTWO\n")


def test_stats(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/containers", listed(WEB))
    used = {
        "cpu_usage": 12.34,
        "memory_usage": 5_000_000,
        "memory_limit": 64_000_000,
        "network": {"rx_bytes": 1, "tx_bytes": 2},
        "block": {"read_bytes": 0, "write_bytes": 4096},
        "pids": 3,
    }
    speaker.says(f"GET /api/v1/metrics/containers/{'c' * 64}", {"data": used})
    assert pig("container", "stats").out.splitlines()[1].split() == (
        [
            "web",
            "12.3",
            "5",
            "MB",
            "/",
            "64",
            "MB",
            "1",
            "B",
            "/",
            "2",
            "B",
            "0",
            "B",
            "/",
            "4.1",
            "kB",
            "3",
        ]
    )


def test_images(pig: Pig, speaker: Speaker) -> None:
    image = {"id": "sha256:" + "a" * 64, "tags": ["nginx:latest"], "size": 187_000_000}
    speaker.says("GET /api/v1/images", listed(image))
    assert pig("image", "list").out.splitlines()[1].split()[:3] == ["nginx:latest", "187", "MB"]
    speaker.says("POST /api/v1/images/pull", {"data": image})
    assert pig("image", "pull", "nginx").out == "Pulled nginx:latest (187 MB).\n"
    assert speaker.asked[-1].json == {"name": "nginx"}
    built = {"id": "sha256:" + "b" * 64, "tags": ["jupyter-ext/notebook:latest"], "size": 776e6}
    speaker.says("POST /api/v1/images/build", {"data": built})
    said = pig("image", "build", "notebook", "--cuda", "--fresh")
    assert said.out == "Built jupyter-ext/notebook:latest (776 MB).\n"
    assert speaker.asked[-1].json == {"name": "notebook", "cuda": True, "fresh": True}
    assert pig("image", "build", "other").code == 2
    speaker.says("DELETE /api/v1/images/nginx:latest", {"data": {"id": "x"}})
    assert pig("image", "rm", "nginx:latest").code == 0


def test_a_key_is_printed_once_and_as_three_fields(pig: Pig, speaker: Speaker) -> None:
    made = {"id": "key-1", "name": "ci", "key": "jx_new", "created_at": "2026-01-01T00:00:00Z"}
    speaker.says("POST /api/v1/api-keys", made, 201)
    assert json.loads(pig("api", "key", "create", "--name", "ci", "--json").out) == {
        "id": "key-1",
        "name": "ci",
        "key": "jx_new",
    }
    ran = pig(
        "api", "key", "create", "--name", "ci", "--expires", "30d", "--scope", "container:read"
    )
    assert ran.out == "jx_new\n"
    assert "not shown again" in ran.err
    assert speaker.asked[-1].json["scopes"] == ["container:read"]
    assert speaker.asked[-1].json["expires_at"].endswith("Z")
    assert "Idempotency-Key" not in speaker.asked[-1].headers


def test_a_bad_expiry_is_wrong_usage(pig: Pig) -> None:
    ran = pig("api", "key", "create", "--name", "x", "--expires", "soon")
    assert ran.code == 2
    assert "12h, 30d, 8w" in ran.err


def test_keys_are_listed_and_revoked(pig: Pig, speaker: Speaker) -> None:
    key = {"id": "key-1", "name": "ci", "hint": "jx_ab…", "scopes": ["image:read"]}
    speaker.says("GET /api/v1/api-keys", {"api_keys": [key], "total": 1})
    assert pig("api", "key", "list").out.splitlines()[1].split() == (
        ["key-1", "ci", "jx_ab…", "image:read", "never", "never"]
    )
    assert "OWNER" not in pig("api", "key", "list").out
    speaker.says("DELETE /api/v1/api-keys/key-1", {"id": "key-1", "status": "revoked"})
    assert pig("api", "key", "revoke", "key-1").out == "Revoked key-1.\n"


def test_keys_of_several_people_name_their_owners(pig: Pig, speaker: Speaker) -> None:
    keys = [{"id": "key-1", "owner": "admin"}, {"id": "key-2", "owner": "eve"}]
    speaker.says("GET /api/v1/api-keys", {"api_keys": keys, "total": 2})
    head, _, row = pig("api", "key", "list").out.splitlines()
    assert head.endswith("OWNER")
    assert row.endswith("eve")
    pig("api", "key", "list", "--user", "eve")
    assert speaker.asked[-1].query["owner"] == "eve"


def quota(**more: Any) -> dict[str, Any]:
    words = {"unit": "", "limit": 20, "limit_text": "20", "used": 2, "used_text": "2"}
    return {**words, "source": "default", **more}


def test_quotas_are_shown(pig: Pig, speaker: Speaker) -> None:
    free = quota(unit="bytes", limit=None, limit_text=None, used=0, used_text="0B", source=None)
    body = {"user": "admin", "role": "admin", "quotas": {"containers": quota(), "memory": free}}
    speaker.says("GET /api/v1/quota", body)
    head, *rows = (line.split() for line in pig("quota", "show").out.splitlines())
    assert head == ["RESOURCE", "USED", "LIMIT", "SET", "BY"]
    assert rows == [["containers", "2", "20", "default"], ["memory", "0B", "none"]]
    assert [row["resource"] for row in json.loads(pig("quota", "show", "--json").out)] == [
        "containers",
        "memory",
    ]
    speaker.says("GET /api/v1/quotas/role:admin", body)
    assert pig("quota", "show", "role:admin").code == 0


def test_quotas_are_set(pig: Pig, speaker: Speaker) -> None:
    speaker.says("PUT /api/v1/quotas/eve", {"quotas": {"containers": quota()}})
    words = ["containers=5", "cpu=2.5", "memory=8GB", "disk=none", "gpus=default", "name=1"]
    assert pig("quota", "set", "eve", *words).code == 0
    assert speaker.asked[0].json == {
        "containers": 5,
        "cpu": 2.5,
        "memory": "8GB",
        "disk": None,
        "gpus": "default",
        "name": 1,
    }
    for wrong in ("containers", "=5", "containers="):
        assert pig("quota", "set", "eve", wrong).code == 2
    assert pig("quota", "set", "eve").code == 2


def test_operations(pig: Pig, speaker: Speaker) -> None:
    pull = {
        "id": "op-1",
        "kind": "image.pull",
        "subject": "nginx",
        "state": "failed",
        "progress": 0.5,
        "error": {"code": "NOT_FOUND", "message": "No such image."},
    }
    speaker.says("GET /api/v1/operations", {"operations": [pull], "total": 1})
    row = pig("operation", "list").out.splitlines()[1]
    assert row.split()[:5] == ["op-1", "failed", "image.pull", "nginx", "50%"]
    assert row.endswith("No such image.")
    speaker.says("GET /api/v1/operations/op-1", pull)
    assert "No such image." in pig("operation", "show", "op-1").out
    speaker.says("DELETE /api/v1/operations/op-1", pull)
    assert pig("operation", "cancel", "op-1").out == "Cancelling op-1.\n"


def test_status(pig: Pig, speaker: Speaker) -> None:
    body = {
        "status": "degraded",
        "version": "1",
        "uptime": 90061,
        "services": {"docker": "stopped"},
    }
    speaker.says("GET /api/v1/status", body)
    out = pig("status").out
    assert "degraded" in out
    assert "1 d 1 h 1 min 1 s" in out
    assert "docker   stopped" in out


def test_the_audit(pig: Pig, speaker: Speaker) -> None:
    entry = {
        "id": 9,
        "at": "2026-01-01T00:00:00.123456Z",
        "user": "user-2",
        "username": "alice",
        "credential": "key:key-1",
        "address": "10.0.0.7",
        "action": "container:start",
        "method": "POST",
        "path": "/api/v1/containers/web/start",
        "target": "web " + "c" * 64,
        "status": 403,
        "outcome": "refused",
        "message": "FORBIDDEN",
        "request_id": "cafe",
    }
    speaker.says("GET /api/v1/audit", {"entries": [entry], "total": 5, "limit": 1, "next": 9})
    words = ["--user", "alice", "--action", "container:*", "--since", "2026-01-01", "--limit", "1"]
    head, row, rest = pig("audit", *words).out.splitlines()
    assert head.split()[:5] == ["AT", "USER", "ACTION", "TARGET", "OUTCOME"]
    assert row.split()[:4] == ["2026-01-01T00:00:00", "alice", "container:start", "web"]
    assert "refused (403)" in row
    assert rest == "1 of 5 are shown."
    assert speaker.asked[0].query == {
        "user": "alice",
        "action": "container:*",
        "from": "2026-01-01",
        "limit": "1",
    }
    assert json.loads(pig("audit", "--json").out) == [entry]
    assert pig("-q", "audit").out == "9\n"
    assert pig("audit", "--outcome", "maybe").code == 2
