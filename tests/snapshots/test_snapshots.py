"""Snapshots over REST: what was there comes back, and what was lost by that is kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ..engines.dockerd import Dockerd
from ..engines.scratch import wait_until
from ..postgres.test_databases import url_of
from ..postgres.test_restores import rows, table, write
from ..services.test_over_http import numbers
from .conftest import UID, World, names, restored, taken

pytestmark = [pytest.mark.postgres, pytest.mark.docker]


def put(path: Path, text: str, uid: int | None = None) -> None:
    """Write a file, in folders that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if uid is not None:
        for each in (path, path.parent):
            os.chown(each, uid, uid)


def tree(folder: Path) -> dict[str, str]:
    """Return all files below a folder, by path, hidden ones at its top left out."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def part(snapshot: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a part by its name."""
    [found] = [each for each in snapshot["parts"] if each["name"] == name]
    assert isinstance(found, dict)
    return found


def state_of(engine: Dockerd, client: httpx.Client) -> str:
    """Return what the file of the container says."""
    box = client.get("containers/box").json()["data"]
    wait_until(lambda: client.get("containers/box").json()["data"]["status"] == "running", "box")
    return engine.docker("exec", box["id"], "cat", "/state").strip()


def secrets_are_kept(world: World) -> None:
    """See that repositories are their owners', and no password is told."""
    for folder in world.repositories.iterdir():
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "password").stat().st_mode & 0o777 == 0o600
        password = (folder / "password").read_text().strip()
        assert password not in world.server.log
        assert password not in world.admin.get("operations?limit=1000").text


class TestUsers:
    def test_all_of_a_workspace_goes_back_and_forth(
        self, world: World, docker_engine: Dockerd
    ) -> None:
        home = world.home("ann")
        with world.user("ann") as ann:
            put(home / "a.ipynb", "one", UID)
            put(home / "sub" / "b.txt", "one", UID)
            put(home / "sub" / "__pycache__" / "c.pyc", "cache", UID)
            put(home / ".ssh" / "id", "hers", UID)
            (home / "etc").symlink_to("/etc")
            url = table(ann, "anns")
            write(url, 1)
            made = ann.post(
                "containers",
                json={
                    "name": "box",
                    "image": "busybox",
                    "command": "sleep 1000",
                    "environment": {"SECRET": "of hers"},
                },
            )
            assert made.status_code == 200, made.text
            box = made.json()["data"]["id"]
            docker_engine.docker("exec", box, "sh", "-c", "echo one > /state")

            kept = taken(ann, "first", description="At the beginning")

            assert [each["name"] for each in kept["parts"]] == [
                "database:anns",
                "files",
                "container:box",
            ]
            assert all(each["state"] == "kept" for each in kept["parts"]), kept
            assert kept["description"] == "At the beginning" and kept["owner"] == "ann"
            assert kept["size_bytes"] == sum(each["size_bytes"] for each in kept["parts"])
            write(url, 2)
            put(home / "a.ipynb", "two", UID)
            put(home / "new.txt", "two", UID)
            (home / "sub" / "b.txt").unlink()
            docker_engine.docker("exec", box, "sh", "-c", "echo two > /state")

            told = restored(ann, "first")

            assert rows(url_of(ann, "anns")) == [1]
            assert tree(home) == {"a.ipynb": "one", "sub/b.txt": "one"}
            assert (home / "etc").readlink() == Path("/etc")
            assert (home / ".ssh" / "id").read_text() == "hers"
            assert (home / "a.ipynb").stat().st_uid == UID
            assert not list(home.glob(".jupyter_ext-*"))
            assert state_of(docker_engine, ann) == "one"
            again = ann.get("containers/box").json()["data"]
            assert again["config"]["environment"]["SECRET"] == "of hers"
            assert names(ann) == [told["kept"], "first"]
            assert told["kept_databases"]["anns"].startswith("anns.before-")

            restored(ann, told["kept"])

            assert rows(url_of(ann, "anns")) == [1, 2]
            assert tree(home) == {"a.ipynb": "two", "new.txt": "two"}
            assert state_of(docker_engine, ann) == "two"

            put(home / "a.ipynb", "three", UID)
            write(url_of(ann, "anns"), 3)
            async_ = {"Prefer": "respond-async"}
            body = {"parts": ["files"]}
            begun = ann.post("snapshots/first/restore", json=body, headers=async_)
            assert begun.status_code == 202, begun.text
            # Nothing gets in its way.
            assert ann.post("snapshots/first/restore", json=body).status_code == 409
            assert ann.delete("snapshots/first").status_code == 409
            one = f"operations/{begun.json()['id']}"
            wait_until(lambda: ann.get(one).json()["state"] == "succeeded", "the restore", 60)

            assert tree(home) == {"a.ipynb": "one", "sub/b.txt": "one"}
            assert rows(url_of(ann, "anns")) == [1, 2, 3]
            assert state_of(docker_engine, ann) == "two"

    def test_files_are_hers_to_read_and_never_lost(self, world: World) -> None:
        home = world.home("lea")
        with world.user("lea") as lea:
            put(home / "mine.txt", "one", UID)
            (home / "shadow").symlink_to("/etc/shadow")
            put(home / "of another" / "file", "theirs", UID + 1)
            first = taken(lea, "readable", parts=["files"])
            secrets_are_kept(world)
            assert first["parts"][0]["reason"] is None
            [told] = first["parts"][0]["not_in_it"]
            assert told.endswith("stay as they are: of another.")
            again = taken(lea, "the same", parts=["files"])
            assert again["stored_bytes"] < first["stored_bytes"]
            told = numbers(world.admin)
            assert told["jupyter_ext_snapshots taken_by=user"] >= 2
            stored = told["jupyter_ext_snapshots_stored_bytes"]
            assert stored >= first["stored_bytes"] + again["stored_bytes"]
            secret = home / "of root.txt"
            secret.write_text("not hers")
            secret.chmod(0o600)

            kept = taken(lea, "with a secret", parts=["files"])

            # restic is not root here.
            assert "of root.txt" in kept["parts"][0]["reason"]
            refused = lea.post("snapshots/readable/restore", json={})
            assert refused.status_code == 409, refused.text
            assert "would be lost" in refused.text
            assert secret.read_text() == "not hers"
            assert (home / "shadow").readlink() == Path("/etc/shadow")
            assert not list(home.glob(".jupyter_ext-*"))
            assert names(lea) == ["with a secret", "the same", "readable"]
            refused = lea.post("snapshots", json={"name": "4", "parts": ["files"]})
            assert refused.status_code == 403, refused.text
            assert refused.json()["error"]["details"]["limit"] == 3

            gone = lea.delete("snapshots/with a secret").json()

            assert gone["status"] == "deleted" and gone["left"] == []
            secret.unlink()
            (home / "mine.txt").write_text("two")
            restored(lea, "readable")
            assert tree(home)["mine.txt"] == "one"
            assert (home / "of another" / "file").read_text() == "theirs"

    @pytest.mark.slow
    def test_what_root_left_among_them_keeps_no_restore_from_its_end(self, world: World) -> None:
        home = world.home("rob")
        with world.user("rob") as rob:
            put(home / "job" / "mine.txt", "one", UID)
            # As a container with the folder mounted makes them.
            put(home / "job" / "roots" / "out.txt", "one")
            taken(rob, "x", parts=["files"])
            put(home / "job" / "mine.txt", "two", UID)

            told = restored(rob, "x")

            assert tree(home) == {"job/mine.txt": "one", "job/roots/out.txt": "one"}
            assert names(rob) == [told["kept"], "x"]

    def test_one_that_is_cancelled_leaves_nothing(self, world: World) -> None:
        home = world.home("cat")
        with world.user("cat") as cat:
            (home / "large").write_bytes(os.urandom(100 << 20))
            os.chown(home / "large", UID, UID)
            body: dict[str, Any] = {"name": "large", "parts": ["files"]}
            begun = cat.post("snapshots", json=body, headers={"Prefer": "respond-async"})
            assert begun.status_code == 202, begun.text
            one = f"operations/{begun.json()['id']}"
            wait_until(world.copying, "restic", 20, 0.01)

            ended = cat.delete(one)

            assert ended.json()["state"] == "cancelled", ended.text
            assert names(cat) == [] and not world.copying()
            kept = taken(cat, **body)
            assert kept["size_bytes"] == 100 << 20
            gone = cat.delete("snapshots/large").json()
            assert gone["freed_bytes"] > 50 << 20
            (home / "large").unlink()

    def test_a_database_that_is_made_while_it_is_taken_is_in_it(self, world: World) -> None:
        with world.user("lee") as lee:
            table(lee, "early")
            begun = lee.post(
                "snapshots",
                json={"name": "x", "parts": ["databases"]},
                headers={"Prefer": "respond-async"},
            ).json()["id"]
            one = f"operations/{begun}"
            # There is no backup yet that has hers.
            wait_until(lambda: "backup" in lee.get(one).json()["message"], "the backup", 30, 0.01)
            write(table(lee, "late"), 1)
            wait_until(lambda: lee.get(one).json()["state"] == "succeeded", "its end", 90, 0.2)

            kept = lee.get("snapshots/x").json()["parts"]

            assert [each["name"] for each in kept] == ["database:early", "database:late"]
            assert lee.delete("databases/late").status_code == 200
            restored(lee, "x")
            assert rows(url_of(lee, "late")) == [1]

    def test_what_restores_keep_is_bounded(self, world: World) -> None:
        home = world.home("ret")
        with world.user("ret") as ret:
            put(home / "f", "one", UID)
            taken(ret, "mine", parts=["files"])
            kept = [restored(ret, "mine")["kept"] for _ in range(3)]
            wait_until(lambda: len(names(ret)) == 3, "the oldest to go")
            assert names(ret) == [kept[2], kept[1], "mine"]

    def test_a_list_asks_nobody_for_backups(self, world: World) -> None:
        with world.user("kim") as kim:
            write(table(kim, "kims"), 1)
            taken(kim, "x", parts=["databases"])
            [repository] = world.folder.glob("*/backups")
            aside = repository.rename(repository.with_name("aside"))
            try:
                [shown] = kim.get("snapshots").json()["snapshots"]
                refused = kim.post("snapshots/x/restore", json={})
            finally:
                aside.rename(repository)
            assert part(shown, "database:kims")["state"] == "kept"
            # Who restores it finds out.
            assert refused.status_code in (409, 503), refused.text
            restored(kim, "x")
            assert rows(url_of(kim, "kims")) == [1]

    def test_a_folder_that_may_lead_elsewhere_is_left_out(self, world: World) -> None:
        reasons = {}
        for name, uid in (("roots", 0), ("linked", UID), ("nowhere", UID)):
            folder = world.home(name, uid)
            if name == "linked":
                folder.rmdir()
                folder.symlink_to("/etc")
            if name == "nowhere":
                folder.rmdir()
            with world.user(name) as user:
                refused = user.post("snapshots", json={"name": "x", "parts": ["files"]})
                assert refused.status_code == 409, refused.text
                reasons[name] = refused.json()["error"]["message"]
                assert names(user) == []
                if name == "nowhere":
                    table(user, "of nowhere")
                    kept = taken(user, "x", parts=["databases", "files"])
                    assert part(kept, "files")["state"] == "left_out"
                    refused = user.post("snapshots/x/restore", json={"parts": ["files"]})
                    assert refused.status_code == 400 and "parts" in refused.text
        assert "belongs to root" in reasons["roots"]
        assert "is no folder" in reasons["linked"]
        assert "sees no folder" in reasons["nowhere"]


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


class TestNames:
    def test_what_can_be_printed_is_a_name(self, world: World) -> None:
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

    @pytest.mark.parametrize("name", ["", " x", "x" * 64, "é" * 32, "a\nb", "a\0b", "..", 7, None])
    def test_what_is_none_is_refused_at_its_field(self, world: World, name: object) -> None:
        reply = world.admin.post("snapshots", json={"name": name})
        assert reply.status_code == 400, reply.text
        assert "name" in reply.json()["error"]["details"]

    def test_other_fields_are_named_too(self, world: World) -> None:
        for body, field in (
            ({"parts": ["everything"]}, "parts"),
            ({"parts": []}, "parts"),
            ({"description": 7}, "description"),
        ):
            reply = world.admin.post("snapshots", json={"name": "x", **body})
            assert reply.status_code == 400, reply.text
            assert any(each.startswith(field) for each in reply.json()["error"]["details"])


class TestRights:
    def test_a_snapshot_is_its_owners(self, world: World) -> None:
        with world.user("amy") as amy, world.user("ben") as ben:
            for name in ("amy", "ben"):
                put(world.home(name) / "f", name, UID)
            taken(amy, "shared name", parts=["files"])
            again = amy.post("snapshots", json={"name": "shared name", "parts": ["files"]})
            assert again.status_code == 409, again.text
            for method, path in (
                ("GET", "snapshots/shared name"),
                ("DELETE", "snapshots/shared name"),
                ("POST", "snapshots/shared name/restore"),
                ("GET", "snapshots?owner=amy"),
                ("GET", "snapshots/shared name?owner=amy"),
                ("DELETE", "snapshots/shared name?owner=amy"),
            ):
                assert ben.request(method, path).status_code == 404, (method, path)
            taken(ben, "shared name", parts=["files"])
            assert names(world.admin, owner="amy") == ["shared name"]
            assert world.admin.get("snapshots/shared name").status_code == 404
            refused = world.admin.delete("users/amy?transfer_to=ben")
            assert refused.status_code == 409 and "snapshots" in refused.text
            assert len(list(world.repositories.iterdir())) >= 2
            before = set(world.repositories.iterdir())
            assert world.admin.delete("users/amy?purge=true").status_code == 200
            assert len(before - set(world.repositories.iterdir())) == 1
            assert names(ben) == ["shared name"]
            gone = world.admin.delete("snapshots/shared name", params={"owner": "ben"})
            assert gone.status_code == 200 and names(ben) == []


def test_events_and_status_tell_of_it(world: World) -> None:
    assert world.admin.get("status").json()["services"]["snapshots"] == "running"
    with world.user("eva") as eva, world.user("nosy") as nosy:
        put(world.home("eva") / "f", "1", UID)
        parameters = {"topics": "snapshots"}
        with (
            eva.stream("GET", "events", params=parameters, timeout=20) as hers,
            nosy.stream("GET", "events", params=parameters, timeout=0.5) as others,
        ):
            taken(eva, "seen", parts=["files"])
            line = next(line for line in hers.iter_lines() if line.startswith("data:"))
            assert '"created"' in line and '"seen"' in line
            with pytest.raises(httpx.ReadTimeout):
                assert not [line for line in others.iter_lines() if "seen" in line]
