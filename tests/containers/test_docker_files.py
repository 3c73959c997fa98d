"""Sizes of files in a folder that a container changes meanwhile."""

from __future__ import annotations

from pathlib import Path

from jupyter_ext.containers.docker_files import Folder


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"12345")
    (tmp_path / "a" / "other").write_bytes(b"1")
    (tmp_path / "a-b").write_bytes(b"12")
    with Folder.opened(str(tmp_path)) as folder:
        assert folder is not None
        sizes = [folder.size(path) for path in ("/a-b", "/a/b/file", "/a/other", "/a/b/file")]
    assert sizes == [2, 5, 1, 5]


def test_no_link_leads_out(tmp_path: Path) -> None:
    secret = tmp_path / "host" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(b"the host's own")
    upper = tmp_path / "upper"
    (upper / "deep").mkdir(parents=True)
    for name in ("way", "deep/way"):
        (upper / name).symlink_to(secret.parent)
    (upper / "last").symlink_to(secret)
    with Folder.opened(str(upper)) as folder:
        assert folder is not None
        for path in ("/way/secret", "/deep/way/secret", "/deep/../../host/secret", "/..", "/"):
            assert folder.size(path) is None
        # A link itself is as long as what it says.
        assert folder.size("/last") == len(str(secret))


def test_what_can_not_be_seen(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (None, "", str(tmp_path / "nothing"), str(tmp_path / "link")):
        with Folder.opened(path) as folder:
            assert folder is None


def test_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    before = len([*Path("/proc/self/fd").iterdir()])
    with Folder.opened(str(tmp_path)) as folder:
        assert folder is not None
        for path in ("/a/b/c/none", "/a/x/y", "/a/b/c"):
            folder.size(path)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
