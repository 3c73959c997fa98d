"""The requests that the document of PostgreSQL, backups, services and snapshots writes out.

They are sent as they stand there; a name in braces and a moment of another year are filled in.
Its programs and its users are in `test_logins`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from ..engines import jupyter, require
from ..postgres.test_databases import run
from .samples import SEEDS, http_sample

pytestmark = pytest.mark.postgres

Json = dict[str, Any]
SIZE = re.compile(r"\d+(\.\d+)?(B|KB|MB|GB|TB)")


class Reader:
    """Somebody who sends what the document says."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def send(self, first_line: str, status: int, filled: Json | None = None, **names: str) -> Json:
        """Send a request of the document.

        Parameters
        ----------
        filled
            Fields of its body that have to be others here.
        names
            What stands for the names in braces.
        """
        method, path, body = http_sample("000", first_line)
        if filled is not None:
            asked = json.loads(body)
            assert set(filled) <= set(asked)
            body = json.dumps({**asked, **filled}).encode()
        reply = self.client.request(method, path.format(**names), content=body)
        assert reply.status_code == status, reply.text
        found: Json = reply.json()
        return found


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """A server with an empty store at the root, and a key of its administrator."""
    for program in ("pgbackrest", "restic"):
        require.program("postgres", program)
    with jupyter.jupyter_server(base_url="/") as server:
        headers = {"Authorization": f"Bearer {server.key()}", "Content-Type": "application/json"}
        root = f"http://127.0.0.1:{server.port}"
        with httpx.Client(base_url=root, headers=headers, trust_env=False, timeout=110) as client:
            yield Reader(client)


def now_as_written() -> str:
    """Return the moment of now as the document writes moments."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def url_of(reader: Reader) -> str:
    """Return how the administrator connects to the database of the samples."""
    url: str = reader.client.get("/api/v1/databases/postgres/connection").json()["url"]
    return url


def replies() -> dict[str, Json]:
    """Return the replies that the document shows, by the first line of the request before each."""
    text = (SEEDS / "000.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(http|json)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    found, asked = {}, ""
    for language, block in blocks:
        if language == "http":
            asked = block.splitlines()[0]
        elif asked and asked not in found and "error" not in block:
            found[asked] = json.loads(block)
    return found


def like(shown: Any, found: Any) -> bool:
    """Whether a reply has the fields of the one that the document shows, of the same types."""
    if isinstance(shown, dict):
        return isinstance(found, dict) and all(
            key in found and like(value, found[key]) for key, value in shown.items()
        )
    if isinstance(shown, list):
        return isinstance(found, list) and bool(found) and all(like(shown[0], one) for one in found)
    if isinstance(shown, str) and SIZE.fullmatch(shown):
        return isinstance(found, str) and bool(SIZE.fullmatch(found))
    return type(shown) is type(found)


def test_what_the_document_shows_is_compared() -> None:
    assert sorted(replies()) == [
        "GET /api/v1/backups",
        "GET /api/v1/databases",
        "GET /api/v1/services",
        "GET /api/v1/status",
        "GET /api/v1/system",
    ]
    assert like({"a": ["50MB"]}, {"a": ["7.5MB"], "b": 1})
    assert not like({"a": ["50MB"]}, {"a": [50]})


@pytest.mark.parametrize("asked", ["GET /api/v1/status", "GET /api/v1/system"])
def test_the_system(reader: Reader, asked: str) -> None:
    assert like(replies()[asked], reader.send(asked, 200))


def test_databases(reader: Reader) -> None:
    made = reader.send("POST /api/v1/databases", 201)
    assert (made["name"], made["owner"]) == ("mydb", "dba")
    again = reader.send("POST /api/v1/databases", 409)
    assert again["error"]["code"] == "CONFLICT"
    asked = "GET /api/v1/databases"
    # The sizes of those that are new are measured a moment later.
    found = reader.client.get("/api/v1/databases", params={"fresh": "true"}).json()
    assert like(replies()[asked], found)
    listed = reader.send(asked, 200)["databases"]
    assert {"mydb", "postgres"} <= {each["name"] for each in listed}
    gone = reader.send("DELETE /api/v1/databases/{name}", 200, name="mydb")
    assert gone == {"name": "mydb", "status": "deleted"}
    missing = reader.send("DELETE /api/v1/databases/{name}", 404, name="nonexistent")
    assert missing == {
        "error": {
            "code": "NOT_FOUND",
            "message": "数据库未找到",
            "details": {"database": "nonexistent"},
        }
    }


def test_backups(reader: Reader) -> None:
    made = reader.send("POST /api/v1/backups", 201)
    assert (made["type"], made["databases"]) == ("full", ["postgres"])
    assert made["id"] == f"backup-{datetime.now(UTC):%Y%m%d}"
    asked = "GET /api/v1/backups"
    assert like(replies()[asked], reader.send(asked, 200))

    # What was backed up is what is restored.
    restore = "POST /api/v1/backups/{id}/restore"
    time.sleep(1.1)
    moment = now_as_written()
    time.sleep(1.1)
    run(url_of(reader), "CREATE TABLE notes (n int)")
    back = reader.send(restore, 200, {"target_time": moment}, id=made["id"])
    assert (back["databases"], [*back["kept"]]) == (["postgres"], ["postgres"])
    assert run(url_of(reader), "SELECT to_regclass('notes')") == [(None,)]

    refused = reader.send(restore, 400, id=made["id"])
    assert refused["error"]["code"] == "INVALID_REQUEST"
    assert "target_time" in refused["error"]["details"]

    # The whole cluster, which no backup brings back without being asked to: what is named is.
    whole = reader.client.post("/api/v1/backups", json={"type": "incremental"}).json()
    path = f"/api/v1/backups/{whole['id']}/restore"
    unnamed = reader.client.post(path, json={}).json()
    assert (unnamed["databases"], unnamed["cluster"]) == ([*back["kept"].values()], False)
    reader.client.post("/api/v1/databases", json={"name": "kept"})
    time.sleep(1.1)
    moment = now_as_written()
    time.sleep(1.1)
    reader.client.post("/api/v1/databases", json={"name": "later"})
    done = reader.client.post(path, json={"target_time": moment, "databases": []}).json()
    assert done["target_time"] == moment
    names = {each["name"] for each in reader.send("GET /api/v1/databases", 200)["databases"]}
    assert "kept" in names
    assert "later" not in names


def test_services(reader: Reader) -> None:
    asked = "GET /api/v1/services"
    found = {each["name"]: each for each in reader.send(asked, 200)["services"]}
    assert {"postgres", "jupyter", "vscode"} <= set(found)
    (shown, _) = replies()[asked]["services"]
    assert like(shown, found["postgres"])
    control = "POST /api/v1/services/{name}/{action}"
    for action, status in (("stop", "stopped"), ("start", "running"), ("restart", "running")):
        done = reader.send(control, 200, name="postgres", action=action)
        assert (done["name"], done["status"]) == ("postgres", status)
    reader.send(control, 404, name="nonexistent", action="start")
    assert reader.send(control, 400, name="postgres", action="dance")["error"]["details"]


def test_snapshots(reader: Reader) -> None:
    made = reader.send("POST /api/v1/snapshots", 201)
    assert (made["name"], made["description"]) == ("snap-20240115", "升级前")
    # Nobody has a notebook yet.
    (files,) = [part for part in made["parts"] if part["name"] == "files"]
    assert (files["state"], "no files" in files["reason"]) == ("left_out", True)
    assert reader.send("POST /api/v1/snapshots", 409)["error"]["code"] == "CONFLICT"
    listed = reader.send("GET /api/v1/snapshots", 200)["snapshots"]
    assert "snap-20240115" in {each["name"] for each in listed}
    reader.send("POST /api/v1/snapshots/{name}/restore", 200, name="snap-20240115")


def test_what_is_left_of_the_limit_is_told(reader: Reader) -> None:
    first, second = (reader.client.get("/api/v1/status").headers for _ in range(2))
    assert first["X-RateLimit-Limit"] == "100"
    assert 0 <= int(second["X-RateLimit-Remaining"]) < int(first["X-RateLimit-Remaining"])
    assert time.time() - 1 <= int(first["X-RateLimit-Reset"]) <= time.time() + 61
