"""What goes away with a cluster that a restore replaced long ago."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jupyter_ext.postgres.cluster_restore import drop_old, replaced_bytes
from jupyter_ext.postgres.processes import SystemUser


def made(folder: Path, name: str, *spaces: Path) -> Path:
    data = folder / name
    (data / "pg_tblspc").mkdir(parents=True)
    for number, space in enumerate(spaces):
        (space / "PG_15").mkdir(parents=True, exist_ok=True)
        (data / "pg_tblspc" / str(number)).symlink_to(space)
    return data


def test_tablespaces_of_a_restored_cluster_go_with_it_and_no_others(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "postgres", tmp_path / "disk"
    fast = {name: folder / f"side-{name}" / "data-tablespaces" / "fast" for name in ("one", "two")}
    own = elsewhere / "side-x" / "data-tablespaces" / "own"
    odd = folder / "backups" / "data-tablespaces" / "odd"
    live = made(folder, "data", fast["two"])
    old = made(folder, "before-20200101-000000", fast["one"], fast["two"], own, odd)
    new = made(folder, "before-29990101-000000")
    for number, place in enumerate((old, fast["one"], fast["two"], own, new, live)):
        (place / "file").write_bytes(b"x" * 10**number)
    (folder / "before-elsewhere").symlink_to(own)

    assert asyncio.run(replaced_bytes(folder)) == 10**0 + 10**1 + 10**4
    asyncio.run(drop_old(folder, SystemUser.own(), 7))

    assert asyncio.run(replaced_bytes(folder)) == 10**4

    assert (old.exists(), new.exists(), live.exists()) == (False, True, True)
    assert not (folder / "side-one").exists()
    assert all((space / "PG_15").is_dir() for space in (fast["two"], own, odd))
