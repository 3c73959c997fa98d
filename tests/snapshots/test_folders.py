"""Whose notebook files lie where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.snapshots.folders import Folder, Folders
from jupyter_ext.snapshots.settings import SnapshotSettings

from .conftest import open_folder


def account(name: str, role: str = "user") -> Account:
    return Account(id=f"user-{name}", username=name, role=role, permissions=())


def found(root: Path | None, who: Account, own: tuple[Path, ...] = (), **traits: Any) -> Any:
    return Folders(SnapshotSettings(**traits), root, lambda: own).of(who)


def test_a_desk_has_none_and_says_where_they_are() -> None:
    for who in (account("ann"), account("admin", "admin")):
        assert "each user's own Jupyter server" in found(None, who)


def test_an_administrators_are_the_root_without_the_servers_own(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir()
    folder = found(tmp_path, account("admin", "admin"), (home, tmp_path.parent / "else"))
    assert isinstance(folder, Folder)
    assert (folder.path, folder.untouched) == (tmp_path, (home,))
    assert folder.user.uid == os.geteuid()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "nul\0"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    assert isinstance(found(tmp_path, account(name)), str)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders away, which needs root")
def test_a_folder_can_be_named_or_computed() -> None:
    with open_folder() as folder:
        _named_or_computed(folder)


def _named_or_computed(tmp_path: Path) -> None:
    for name in ("ann", "x-ann"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, 5431, 5432)
    by_name = found(None, account("ann"), files=f"{tmp_path}/{{username}}")
    computed = found(None, account("ann"), files=lambda who: f"{tmp_path}/x-{who.username}")
    assert by_name.path == tmp_path / "ann" and computed.path == tmp_path / "x-ann"
    assert (by_name.user.uid, by_name.user.gid) == (5431, 5432)
    # What users have below the administrator's root is theirs, however deep.
    deep = tmp_path / "course" / "2026" / "ben"
    (deep / "work").mkdir(parents=True)
    for each in (deep, deep / "work"):
        os.chown(each, 5433, 5433)
    (tmp_path / "course" / "link").symlink_to(deep)
    whose = {tmp_path / "ann", tmp_path / "x-ann", deep}
    assert {*found(tmp_path, account("admin", "admin")).untouched} == whose
    tmp_path.chmod(0o700)
    assert f"can't enter {tmp_path}" in found(
        None, account("ann"), files=f"{tmp_path}/{{username}}"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="gives folders away, which needs root")
def test_nobody_leads_to_somebody_elses_folder() -> None:
    with open_folder() as folder:
        for name, uid in (("ann", 5431), ("ben", 5432)):
            for each in (folder / name, folder / name / "work", folder / name / "work" / "nb"):
                each.mkdir()
                os.chown(each, uid, uid)
        pattern = f"{folder}/{{username}}/work/nb"
        assert found(None, account("ben"), files=pattern).user.uid == 5432
        work = folder / "ben" / "work"
        work.rename(folder / "ben" / "away")
        work.symlink_to(folder / "ann" / "work")
        os.chown(work, 5432, 5432, follow_symlinks=False)

        assert f"{folder}/ben, on the way" in found(None, account("ben"), files=pattern)
        assert found(None, account("ann"), files=pattern).user.uid == 5431


def test_the_servers_own_user_reads_no_users_folder(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    assert "chown" in found(tmp_path, account("ann"))
