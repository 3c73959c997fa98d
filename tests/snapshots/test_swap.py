"""Files are put in their place whole, also where that was broken off anywhere."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.snapshots import swap
from jupyter_ext.snapshots.swap import NEW, Plan, carry_out, make_plan, staging

MARK = "restore-x"


def put(folder: Path, **files: str) -> None:
    """Write files; two underscores are a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def prepared(folder: Path) -> Path:
    """A folder with files, and others that wait."""
    put(folder, same="old", changed__deep="old", gone__file="old", state__db="live")
    put(folder, state__notes="old")
    put(folder / ".config", key="kept")
    waiting = staging(folder, MARK)
    (waiting / "old").mkdir(parents=True)
    put(waiting / NEW, same="new", changed__deep="new", changed__more="new", came="new")
    put(waiting / NEW, state__notes="new", state__db="stale")
    return folder


AFTER = {
    "same": "new",
    "changed/deep": "new",
    "changed/more": "new",
    "came": "new",
    "state/db": "live",
    "state/notes": "new",
    ".config/key": "kept",
}


def left(folder: Path) -> dict[str, str]:
    """Return what is there, without what waits."""
    return {path: text for path, text in tree(folder).items() if not path.startswith(swap.PREFIX)}


def test_all_goes_but_what_is_hidden_or_the_servers(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    plan = make_plan(folder, MARK, [folder / "state" / "db"])
    assert plan.put == ("came", "changed", "same", "state/notes")
    assert plan.remove == ("gone",)

    carry_out(folder, MARK, Plan.read(plan.words()))

    assert left(folder) == AFTER
    old = tree(staging(folder, MARK) / "old")
    assert old == {"same": "old", "changed/deep": "old", "gone/file": "old", "state/notes": "old"}


@pytest.mark.parametrize("moves", range(1, 8))
def test_broken_off_after_any_move_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    folder = prepared(tmp_path)
    plan = make_plan(folder, MARK, [folder / "state" / "db"])
    counter = itertools.count(1)
    rename = os.rename

    class KilledError(Exception):
        pass

    def dying(*arguments: Any, **options: Any) -> None:
        rename(*arguments, **options)
        if next(counter) == moves:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", dying)
        with pytest.raises(KilledError):
            carry_out(folder, MARK, plan)
    # Whoever works there goes on to.
    put(folder, same="made meanwhile")

    carry_out(folder, MARK, plan)

    kept = tree(staging(folder, MARK) / "old")
    if left(folder)["same"] == "made meanwhile":
        # It had been put there already, and was changed afterwards.
        assert left(folder) == AFTER | {"same": "made meanwhile"}
    else:
        assert left(folder) == AFTER
        assert "made meanwhile" in kept.values()
    assert kept["gone/file"] == kept["changed/deep"] == "old"


def test_a_link_on_the_way_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    folder = prepared(tmp_path / "in")
    put(outside, victim="untouched")
    plan = make_plan(folder, MARK, [folder / "state" / "db"])
    (folder / "state").rename(folder / "away")
    (folder / "state").symlink_to(outside)

    with pytest.raises(OSError, match="Not a directory|symbolic"):
        carry_out(folder, MARK, Plan(("state/notes",), ()))

    assert tree(outside) == {"victim": "untouched"}
    assert plan.put


def test_a_link_where_files_wait_leads_nowhere(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "in")
    victim = tmp_path / "victim"
    put(victim, new__same="hers", new__came="hers", old__letter="hers")
    before = tree(victim)
    plan = make_plan(folder, MARK, [])
    waiting = staging(folder, MARK)
    # Whose the folder is does that while the server is about to move.
    waiting.rename(folder / ".away")
    waiting.symlink_to(victim)

    with pytest.raises(OSError, match="Not a directory|symbolic"):
        carry_out(folder, MARK, plan)

    assert tree(victim) == before
    assert make_plan(folder, MARK, []).put == ()


def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name).write_text("1")
    waiting = staging(tmp_path, MARK)
    (waiting / "old").mkdir(parents=True)
    (waiting / NEW).mkdir()
    (waiting / NEW / name).write_text("2")
    plan = Plan.read(make_plan(tmp_path, MARK, []).words())
    carry_out(tmp_path, MARK, plan)
    assert (tmp_path / name).read_text() == "2"


def test_of_some_paths_the_others_stay(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    put(staging(folder, MARK) / NEW, away__deep__one="new", away__deep__two="new")
    chosen = ["away/deep/one", "away/deep/two", "changed", "state", "never"]

    plan = make_plan(folder, MARK, [folder / "state" / "db"], chosen)

    # What is gone comes back with the topmost folder on the way; what does not come stays.
    assert plan.put == ("away", "changed", "state/notes")
    assert plan.remove == ()
    carry_out(folder, MARK, plan)
    assert left(folder) == {
        "same": "old",
        "gone/file": "old",
        "changed/deep": "new",
        "changed/more": "new",
        "away/deep/one": "new",
        "away/deep/two": "new",
        "state/db": "live",
        "state/notes": "new",
        ".config/key": "kept",
    }


def test_a_link_on_the_way_to_a_chosen_path_is_not_followed(tmp_path: Path) -> None:
    folder, elsewhere = prepared(tmp_path / "mine"), tmp_path / "theirs"
    put(elsewhere, deep="theirs")
    put(staging(folder, MARK) / NEW, way__deep="new")
    (folder / "way").symlink_to(elsewhere)

    plan = make_plan(folder, MARK, [], ["way/deep"])
    with pytest.raises(OSError, match="way"):
        carry_out(folder, MARK, plan)

    assert tree(elsewhere) == {"deep": "theirs"}
