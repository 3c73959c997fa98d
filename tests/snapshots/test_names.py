"""What snapshots may be called, over REST and by ``pig``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from ..cli.conftest import in_process
from ..engines import clusters
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table, write
from .conftest import World, names, open_folder, taken, world_in

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A server of this file's tests; nothing here needs an engine."""
    with (
        clusters.cluster_folder() as folder,
        open_folder() as files,
        world_in(folder, files=files) as made,
    ):
        yield made


NASTY = "'; DROP TABLE snapshots; -- $(touch /tmp/jx-owned) `id`"
GOOD = [
    NASTY,
    'it\'s "quoted"',
    "a/b?c#d%2F&e=f",
    "Ünïcode 名前 🎉",
    "x" * 63,
    "é" * 31 + "x",
    "--force",
]


RESTORED = (NASTY, "é" * 31 + "x")
BAD = ["", " x", "x" * 64, "é" * 32, "a\nb", "a\0b", ".."]


def test_what_can_be_printed_is_a_name(world: World) -> None:
    with world.user("nat") as nat:
        write(table(nat, "nats"), 1)
        for name in GOOD:
            assert taken(nat, name, parts=["databases"])["name"] == name
            path = f"snapshots/{quote(name, safe='')}"
            assert nat.get(path).json()["name"] == name
            if name == NASTY:
                write(url_of(nat, "nats"), 2)
                done = nat.post(f"{path}/restore", json={})
                assert done.status_code == 200, done.text
                assert rows(url_of(nat, "nats")) == [1]
                kept = done.json()["kept"]
                assert len(kept.encode()) <= 63
                assert nat.delete(f"snapshots/{quote(kept, safe='')}").status_code == 200
            assert nat.delete(path).json()["name"] == name
        assert not Path("/tmp/jx-owned").exists()  # noqa: S108


@pytest.mark.parametrize("name", [*BAD, 7, None])
def test_what_is_none_is_refused_at_its_field(world: World, name: object) -> None:
    reply = world.admin.post("snapshots", json={"name": name})
    assert reply.status_code == 400, reply.text
    assert "name" in reply.json()["error"]["details"]


def test_other_fields_are_named_too(world: World) -> None:
    for body, field in (
        ({"parts": ["everything"]}, "parts"),
        ({"parts": []}, "parts"),
        ({"description": 7}, "description"),
    ):
        reply = world.admin.post("snapshots", json={"name": "x", **body})
        assert reply.status_code == 400, reply.text
        assert any(each.startswith(field) for each in reply.json()["error"]["details"])


@pytest.mark.slow
def test_pig_gives_the_same_names(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = world.home("sue") / "f"
    with world.user("sue") as sue:
        pig = in_process(world.server.url, sue.headers["X-API-Key"], monkeypatch, capsys)
        for name in GOOD:
            file.write_text("one")
            made = pig("snapshot", "create", "--part", "files", "--", name)
            assert (made.code, names(sue)) == (0, [name]), made.err
            assert name in pig("-q", "snapshot", "list").out.splitlines()
            if name in RESTORED:
                file.write_text("two")
                done = pig("-q", "snapshot", "restore", "--yes", "--", name)
                kept = done.out.strip()
                assert (done.code, file.read_text()) == (0, "one"), done.err
                assert names(sue) == [kept, name]
                assert pig("snapshot", "delete", "--yes", "--", kept).code == 0
            gone = pig("snapshot", "delete", "--yes", "--", name)
            assert gone.out.startswith(f"Deleted {name}, which frees"), gone
            assert names(sue) == []
        for name in BAD:
            refused = pig("snapshot", "create", "--", name)
            assert refused.code == 2 and "name: " in refused.err, (name, refused)
            for command in ("restore", "delete"):
                missing = pig("snapshot", command, "--yes", "--", name)
                assert missing.code in (2, 3) and missing.out == "", (name, missing)
        assert names(sue) == []
    assert not Path("/tmp/jx-owned").exists()  # noqa: S108
