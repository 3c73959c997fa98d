"""Notebook files that are kept with backups: back and forth, whose they are, and attacks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines import clusters
from ..engines.scratch import wait_until
from ..snapshots.conftest import UID, World, copying, names, open_folder, world_in
from .test_backups import listed, taken
from .test_databases import url_of
from .test_restores import now, restored, rows, table, write

pytestmark = pytest.mark.postgres

OTHER = UID + 1
"""Another user's."""


@pytest.fixture(scope="module")
def desk() -> Iterator[World]:
    """A server of this file's tests, with notebook files."""
    with (
        clusters.cluster_folder() as folder,
        open_folder() as files,
        world_in(folder, files=files) as made,
    ):
        # What others depend on.
        taken(made.admin)
        yield made


def put(path: Path, text: str, uid: int = UID) -> None:
    """Write somebody's file, in folders of theirs."""
    missing = [each for each in path.parents if not each.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for each in (path, *missing):
        os.chown(each, uid, uid)


def tree(folder: Path) -> dict[str, str]:
    """Return what is in a folder, what is hidden at its top left out."""
    found = (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
    named = {each.relative_to(folder): each for each in found}
    return {str(at): each.read_text() for at, each in named.items() if at.parts[0][0] != "."}


def refused(client: httpx.Client, files: object, status: int = 400) -> str:
    """Ask for a backup with files that can't be; return what is said of them."""
    reply = client.post("backups", json={"type": "incremental", "files": files}, timeout=120)
    assert reply.status_code == status, reply.text
    details = reply.json()["error"]["details"]
    [field] = [name for name in details if name.startswith("files")]
    return str(details[field])


def copies(desk: World) -> int:
    """Count what restic keeps for users."""
    return sum(1 for each in desk.repositories.glob("*/repository/snapshots/*"))


class TestBackAndForth:
    def test_files_come_back_with_the_database(self, desk: World) -> None:
        home = desk.home("lea")
        with desk.user("lea") as lea, desk.user("max") as max_:
            url = table(lea, "leas")
            write(url, 1)
            put(home / "project" / "deep" / "a.txt", "one")
            put(home / "notes.ipynb", "one")
            put(home / "other.txt", "one")
            write(table(max_, "maxs"), 1)
            large = {"files": ["project", "notes.ipynb", "project/deep"]}

            made = taken(lea, type="incremental", **large)

            assert made["files"] == ["notes.ipynb", "project"], "one within another is named once"
            assert (made["files_bytes"], made["files_unread"]) == (6, None)
            assert lea.get(f"backups/{made['id']}").json()["files"] == made["files"]
            assert desk.admin.get(f"backups/{made['id']}").json()["files"] == made["files"]
            write(url, 2)
            put(home / "project" / "deep" / "a.txt", "two")
            put(home / "project" / "new.txt", "two")
            put(home / "other.txt", "two")
            (home / "notes.ipynb").unlink()
            before = tree(home)
            moment = now(desk.admin)
            time.sleep(0.1)
            write(url, 3)

            told = restored(lea, made, dry_run=True)

            assert told["files"] == [
                {"path": "notes.ipynb", "replaces": False},
                {"path": "project", "replaces": True},
            ]
            assert tree(home) == before
            back = restored(lea, made, target_time=moment)
            assert rows(url_of(lea, "leas")) == [1, 2]
            assert tree(home) == {
                "project/deep/a.txt": "one",
                "notes.ipynb": "one",
                "other.txt": "two",
            }
            assert back["files_time"] <= made["created_at"], "and not of the moment asked for"
            owner = (home / "project" / "deep" / "a.txt").stat()
            assert (owner.st_uid, owner.st_gid) == (UID, UID)
            assert not list(home.glob(".jupyter_ext-*"))
            # What was there is a snapshot like any other.
            assert names(lea) == [back["kept_files"]]
            kept = lea.post(f"snapshots/{back['kept_files']}/restore", json={}, timeout=120)
            assert kept.status_code == 200, kept.text
            assert tree(home) == before

            # Of it some, of which the way there is gone.
            for each in (home / "project").rglob("*"):
                if each.is_file():
                    each.unlink()
            (home / "project" / "deep").rmdir()
            (home / "project").rmdir()
            some = {"databases": [], "files": ["./project/deep//a.txt"]}
            part = restored(lea, made, **some)
            assert (part["databases"], part["cluster"]) == ([], False)
            assert tree(home) == {"project/deep/a.txt": "one", "other.txt": "two"}
            assert (home / "project" / "deep").stat().st_uid == UID
            for files, status in (
                (["other.txt"], 400),
                (["project/../other.txt"], 400),
                (["/"], 400),
            ):
                body = {"databases": [], "files": files}
                reply = lea.post(f"backups/{made['id']}/restore", json=body)
                assert reply.status_code == status, reply.text
                assert "files" in reply.json()["error"]["details"]

    @pytest.mark.slow
    def test_they_are_tested_and_go_with_it(self, desk: World) -> None:
        home = desk.home("tom")
        with desk.user("tom") as tom:
            (home / "large").write_bytes(os.urandom(3 << 20))
            os.chown(home / "large", UID, UID)
            (home / "nothing").mkdir()
            os.chown(home / "nothing", UID, UID)

            # He has no database: it is for the files alone.
            made = taken(tom, type="incremental", files=["large"])

            assert (made["databases"], made["files_bytes"]) == ([], 3 << 20)
            [pack] = _largest(desk.repositories)
            original = pack.read_bytes()
            assert tom.post(f"backups/{made['id']}/verify", timeout=180).status_code == 200
            damaged = bytearray(original)
            damaged[len(damaged) // 2] ^= 0xFF
            pack.chmod(0o600)
            pack.write_bytes(damaged)
            reply = tom.post(f"backups/{made['id']}/verify", timeout=180)
            assert reply.status_code == 503, reply.text
            pack.write_bytes(original)
            [repository] = [each for each in pack.parents if each.name == "repository"]
            away = repository.rename(repository.with_name("away"))
            path = f"backups/{made['id']}"
            for reply in (tom.post(f"{path}/verify"), tom.post(f"{path}/restore", json={})):
                assert reply.status_code == 503 and "is gone" in reply.text, reply.text
            away.rename(repository)
            # A restore of it is one of files, whoever's the cluster is.
            (home / "large").unlink()
            back = restored(tom, made)
            assert (back["cluster"], back["kept"]) == (False, {})
            assert (home / "large").stat().st_size == 3 << 20
            assert names(tom) == [back["kept_files"]]
            before = copies(desk)

            gone = desk.admin.delete(f"backups/{made['id']}")

            assert gone.status_code == 200, gone.text
            assert copies(desk) == before - 1
            assert not pack.exists(), "its room is free"


def _largest(folder: Path) -> list[Path]:
    packs = [each for each in folder.glob("*/repository/data/*/*") if each.stat().st_size > 1 << 20]
    return sorted(packs, key=lambda each: each.stat().st_size)[-1:]


class TestWhose:
    def test_only_what_is_ones_own_is_kept(self, desk: World) -> None:
        mine, others = desk.home("ann"), desk.home("bob", OTHER)
        put(mine / "a.txt", "hers")
        put(others / "secret.txt", "his", OTHER)
        (mine / "link").symlink_to(others)
        (mine / "shadow").symlink_to("/etc/shadow")
        put(mine / ".ssh" / "key", "hers")
        put(mine / "node_modules" / "x", "hers")
        with desk.user("ann") as ann, desk.user("bob") as bob:
            for name, said in (
                ("../bob/secret.txt", ".."),
                ("a.txt/../../bob", ".."),
                (str(others / "secret.txt"), "not in your folder"),
                ("/etc/shadow", "not in your folder"),
                ("link/secret.txt", "a link"),
                ("link", "a link"),
                ("shadow", "a link"),
                ("nowhere", "is not there"),
                ("a.txt/b", "is not there"),
                (".ssh/key", "hidden"),
                ("node_modules/x", "exclude"),
                ("a\nb", "no path"),
                (" ", "no path"),
            ):
                problem = refused(ann, [name])
                assert said in problem and (repr(name) in problem or "\\" in problem), problem
            lone = ann.post("backups", content=b'{"files": ["\\ud800"]}')
            assert lone.status_code == 400 and "surrogate" in lone.text, lone.text
            for wrong in (7, [7], [""], ["a\0b"], ["a.txt"] * 251):
                refused(ann, wrong)
            assert listed(ann) == []
            # The whole path of what is hers is as good.
            put(mine / "-n.txt", "hers")
            put(mine / "[a]*.txt", "hers")
            files = [str(mine / "a.txt"), "-n.txt", "[a]*.txt"]
            made = taken(ann, type="incremental", files=files)
            assert made["files"] == ["-n.txt", "[a]*.txt", "a.txt"]
            assert bob.get(f"backups/{made['id']}").status_code == 404
            # An administrator sees what there is, and gives nobody's files to anybody.
            path = f"backups/{made['id']}/restore"
            body: dict[str, Any] = {"databases": [], "files": ["a.txt"]}
            assert desk.admin.post(path, json=body).status_code == 403
            put(mine / "[a]*.txt", "later")
            put(mine / "a.txt", "later")
            restored(ann, made, files=["[a]*.txt"])
            assert tree(mine)["[a]*.txt"] == "hers", "no pattern"
            assert tree(mine)["a.txt"] == "later"

    def test_an_administrators_are_the_servers(self, desk: World) -> None:
        desk.home("carl", OTHER)
        put(desk.files / "carl" / "his.txt", "his", OTHER)
        put(desk.files / "shared" / "a.txt", "one", os.getuid())
        assert "not yours" in refused(desk.admin, ["carl/his.txt"])
        assert "not yours" in refused(desk.admin, ["carl"])
        made = taken(desk.admin, type="incremental", databases=[], files=["shared"])
        assert (made["databases"], made["files"]) == ([], ["shared"])
        put(desk.files / "shared" / "a.txt", "two", os.getuid())

        # For no database: it does not bring the whole cluster back.
        back = restored(desk.admin, made)

        assert (back["cluster"], tree(desk.files / "shared")) == (False, {"a.txt": "one"})
        assert (desk.files / "carl" / "his.txt").read_text() == "his"

    @pytest.mark.slow
    def test_a_link_that_is_put_on_the_way_leads_nowhere(self, desk: World) -> None:
        """Somebody swaps a folder of theirs for a link to what is not theirs, again and again."""
        home, victim = desk.home("eve"), desk.home("vic", OTHER)
        put(victim / "secret.txt", "not hers", OTHER)
        (victim / "secret.txt").chmod(0o600)
        put(home / "way" / "secret.txt", "hers")
        stop = threading.Event()

        def swap() -> None:
            while not stop.is_set():
                (home / "way").rename(home / "aside")
                (home / "way").symlink_to(victim)
                (home / "way").unlink()
                (home / "aside").rename(home / "way")

        swapping = threading.Thread(target=swap)
        with desk.user("eve") as eve:
            swapping.start()
            try:
                made = None
                for _ in range(40):
                    body = {"type": "incremental", "files": ["way/secret.txt"]}
                    reply = eve.post("backups", json=body, timeout=120)
                    # 503: it was another one while restic looked.
                    assert reply.status_code in (201, 400, 429, 503), reply.text
                    if reply.status_code == 201:
                        made = reply.json()
                        break
            finally:
                stop.set()
                swapping.join()
            # Whatever was met on the way, nothing of his was kept and nothing of his is written.
            (home / "way").rename(home / "old")
            (home / "way").symlink_to(victim)
            if made is not None:
                body = {"databases": [], "files": ["way/secret.txt"]}
                reply = eve.post(f"backups/{made['id']}/restore", json=body, timeout=120)
                assert reply.status_code == 409, reply.text
            assert (victim / "secret.txt").read_text() == "not hers"
            if made is not None:
                (home / "way").unlink()
                restored(eve, made)
                assert tree(home)["way/secret.txt"] in ("hers", "")
            assert "not hers" not in tree(home).values()


@pytest.mark.slow
def test_one_that_is_cancelled_leaves_nothing(desk: World) -> None:
    home = desk.home("cat")
    with desk.user("cat") as cat, closing(cat):
        (home / "large").write_bytes(os.urandom(60 << 20))
        os.chown(home / "large", UID, UID)
        body = {"type": "incremental", "files": ["large"]}
        begun = cat.post("backups", json=body, headers={"Prefer": "respond-async"})
        assert begun.status_code == 202, begun.text
        wait_until(lambda: copying(desk.folder, "backup-"), "restic", 20, 0.01)
        kept = copies(desk)

        ended = cat.delete(f"operations/{begun.json()['id']}")

        assert ended.json()["state"] == "cancelled", ended.text
        assert listed(cat) == [] and not copying(desk.folder, "backup-")
        assert copies(desk) == kept
