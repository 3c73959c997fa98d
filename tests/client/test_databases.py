"""Databases: what goes over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jupyter_ext.client import AsyncClient, Client, Thing
from jupyter_ext.client.libpq import password_line

from .speaker import Speaker, Speaking

PASSWORD = "hush:hush"
CONNECTION = {
    "url": "postgresql://ann:hush@127.0.0.1:5433/mydb",
    "host": "::1",
    "port": 5433,
    "database": "mydb",
    "user": "ann",
    "password": PASSWORD,
}
MADE = {"name": "mydb", "owner": "ann", "size": "8 MB", "connection_url": None}
OPERATION = {
    "id": "op-1",
    "kind": "database.create",
    "subject": "mydb",
    "state": "succeeded",
    "result": MADE,
}


@pytest.fixture(autouse=True)
def a_server(speaker: Speaker) -> None:
    speaker.says("POST /api/v1/databases", OPERATION, 202)
    speaker.says("GET /api/v1/databases/mydb/connection", CONNECTION)


def test_the_address_comes_although_an_operation_keeps_none(
    speaker: Speaker, client: Client
) -> None:
    seen: list[Thing] = []
    made = client.databases.create("mydb", extensions=("pg_trgm",), progress=seen.append)
    assert made.connection_url == CONNECTION["url"]
    assert [state.state for state in seen] == ["succeeded"]
    assert speaker.asked[0].json == {"name": "mydb", "extensions": ["pg_trgm"]}
    assert speaker.asked[0].headers["Idempotency-Key"]


def test_the_address_of_somebody_elses_is_not_asked_for(speaker: Speaker, client: Client) -> None:
    assert client.databases.create("mydb", owner="ann").connection_url is None
    assert speaker.paths() == ["POST /api/v1/databases"]


def test_who_may_not_connect_still_makes_one(speaker: Speaker, client: Client) -> None:
    refused = {"error": {"code": "FORBIDDEN", "message": "Your key may not connect."}}
    speaker.says("GET /api/v1/databases/mydb/connection", refused, 403)
    assert client.databases.create("mydb").connection_url is None


def test_the_awaited_client_does_the_same(speaker: Speaker) -> None:
    async def work() -> Any:
        async with AsyncClient(speaker.url, "key") as client:
            return await client.databases.create("mydb")

    assert asyncio.run(work()).connection_url == CONNECTION["url"]


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("...", "..."),
        ("a?b#c%d", "a%3Fb%23c%25d"),
        ("größe", "gr%C3%B6%C3%9Fe"),
    ],
)
def test_a_name_stays_one_part_of_the_path(
    speaker: Speaker, client: Client, name: str, sent: str
) -> None:
    speaker.says(f"DELETE /api/v1/databases/{sent}", {"name": name, "status": "deleted"})
    assert client.databases.delete(name, force=True).status == "deleted"
    assert speaker.asked[0].query == {"force": "true"}


def test_a_clone_is_named_in_the_body(speaker: Speaker, client: Client) -> None:
    def cloned(handler: Speaking) -> None:
        handler.set_status(201)
        handler.finish(MADE)

    speaker.on("POST /api/v1/databases/my%20db/clone", cloned)
    client.databases.clone("my db", "copy", schema_only=True)
    assert speaker.asked[0].json == {"name": "copy", "schema_only": True}


def test_the_line_of_a_password_file_is_unambiguous() -> None:
    line = password_line({**CONNECTION, "password": "a:b\\c"})
    assert line == "\\:\\:1:5433:*:ann:a\\:b\\\\c\n"
