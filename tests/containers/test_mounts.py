"""Which folders of the host a container may have."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from jupyter_ext.accounts.schemas import Account
from jupyter_ext.containers import mounted
from jupyter_ext.containers.engine_types import EngineMount
from jupyter_ext.containers.mounted import Witness, mounted_elsewhere
from jupyter_ext.containers.mounts import Grant, MountPolicy
from jupyter_ext.containers.schemas import Volume
from jupyter_ext.errors import Forbidden, InvalidRequest

from .conftest import ADMIN, ALICE, BOB

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives folders to other users")
UID = 4321


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A notebook root with a folder of alice's and one of bob's."""
    folder = tmp_path / "notebooks"
    for name in ("alice", "bob"):
        (folder / name / "data").mkdir(parents=True)
        if os.geteuid() == 0:
            for path in (folder / name, folder / name / "data"):
                os.chown(path, UID, UID + 1)
    return folder


@pytest.fixture
def policy(root: Path) -> MountPolicy:
    return MountPolicy(root)


def grant(policy: MountPolicy, account: Account, *paths: str | Path, target: str = "/m") -> Grant:
    volumes = [
        Volume(host_path=str(path), container_path=f"{target}{number or ''}")
        for number, path in enumerate(paths)
    ]
    return policy.grant(account, volumes)


@needs_root
def test_a_users_own_folder(policy: MountPolicy, root: Path) -> None:
    given = grant(policy, ALICE, root / "alice" / "data", root / "alice")
    assert given.user == f"{UID}:{UID + 1}"
    assert [mount.source for mount in given.mounts] == [
        str(root / "alice" / "data"),
        str(root / "alice"),
    ]


def test_an_administrators_notebook_root(policy: MountPolicy, root: Path) -> None:
    given = grant(policy, ADMIN, root, root / "bob")
    assert given.user == ""


@pytest.mark.parametrize(
    "path",
    [
        "{root}/bob",
        "{root}",
        "{root}/alice/../bob",
        "{root}/alice/link",
        "{root}/alice/link/passwd",
        "{root}/alicex",
        "/",
        "/etc",
        "/etc/passwd",
        "/var/run/docker.sock",
        "{root}/nobody",
        "/nowhere/at/all",
    ],
)
def test_what_is_not_a_users_own(policy: MountPolicy, root: Path, path: str) -> None:
    (root / "alice" / "link").symlink_to("/etc")
    (root / "alicex").mkdir()
    with pytest.raises(Forbidden) as caught:
        grant(policy, ALICE, path.format(root=root))
    assert str(root / "alice") in str(caught.value)
    assert "volumes.0.host_path" in caught.value.fields
    assert caught.value.details["allowed"] == [str(root / "alice")]


def test_an_administrator_has_roots_too(policy: MountPolicy) -> None:
    with pytest.raises(Forbidden):
        grant(policy, ADMIN, "/etc")


def test_roots_that_are_configured(root: Path, tmp_path: Path) -> None:
    assert grant(MountPolicy(root, ["/"]), ADMIN, "/etc").mounts[0].source == "/etc"
    shared = tmp_path / "shared"
    shared.mkdir()
    by_account = MountPolicy(root, lambda account: [str(shared)] if account == BOB else [])
    with pytest.raises(Forbidden, match="Allowed: none"):
        grant(by_account, ALICE, shared)
    if os.geteuid() == 0:
        os.chown(shared, UID, UID)
        assert grant(by_account, BOB, shared).user == f"{UID}:{UID}"


@pytest.mark.parametrize("path", ["/etc", "/proc", "/proc/1", "/sys", "/dev", "/run", "/"])
def test_what_is_never_a_users(root: Path, path: str) -> None:
    with pytest.raises(Forbidden):
        grant(MountPolicy(root, ["/"]), ALICE, path)


@needs_root
def test_folders_of_one_user_and_several_groups(policy: MountPolicy, root: Path) -> None:
    mine, shared = root / "alice" / "data", root / "alice" / "shared"
    shared.mkdir()
    os.chown(shared, UID, UID + 9)
    for paths in ((mine, shared), (shared, mine)):
        with pytest.raises(Forbidden, match=f"shared to {UID + 9}"):
            grant(policy, ALICE, *paths)
    # Whom the host knows has a group of their own, whichever folder comes first.
    known = next(user for user in pwd.getpwall() if user.pw_uid and user.pw_gid)
    for path, gid in ((mine, UID + 1), (shared, UID + 9)):
        os.chown(path, known.pw_uid, gid)
    for paths in ((mine, shared), (shared, mine)):
        given = grant(policy, ALICE, *paths)
        assert given.user == f"{known.pw_uid}:{known.pw_gid}"
        policy.check(ALICE, given.mounts, given.user)


@needs_root
def test_a_folder_that_root_gave_away_makes_nobody_of_roots_group(
    policy: MountPolicy, root: Path
) -> None:
    folder = root / "alice" / "data"
    os.chown(folder, UID, 0)
    with pytest.raises(Forbidden, match="chgrp"):
        grant(policy, ALICE, folder)
    known = next(user for user in pwd.getpwall() if user.pw_uid and user.pw_gid)
    os.chown(folder, known.pw_uid, 0)
    assert grant(policy, ALICE, folder).user == f"{known.pw_uid}:{known.pw_gid}"


@needs_root
def test_the_engines_socket_is_never_a_users(root: Path) -> None:
    folder = root / "alice" / "engine"
    folder.mkdir()
    os.chown(folder, UID, UID)
    (folder / "docker.sock").touch()
    policy = MountPolicy(root, protected=[str(folder / "docker.sock")])
    for path in (folder, folder / "docker.sock", root / "alice"):
        with pytest.raises(Forbidden):
            grant(policy, ALICE, path)
    assert grant(policy, ALICE, root / "alice" / "data").mounts


@needs_root
def test_a_folder_of_roots_would_make_the_container_root(policy: MountPolicy, root: Path) -> None:
    folder = root / "alice" / "roots"
    folder.mkdir()
    with pytest.raises(Forbidden, match="belongs to root"):
        grant(policy, ALICE, folder)
    remapped = policy.grant(
        ALICE, [Volume(host_path=str(folder), container_path="/m")], remapped=True
    )
    assert remapped.user == ""


@needs_root
def test_folders_of_two_users_do_not_go_together(policy: MountPolicy, root: Path) -> None:
    other = root / "alice" / "other"
    other.mkdir()
    os.chown(other, UID + 5, UID)
    with pytest.raises(Forbidden, match="different users"):
        grant(policy, ALICE, root / "alice" / "data", other)


@pytest.mark.parametrize("path", ["data", "./data", "~/data", "a\0b"])
def test_paths_that_are_none(policy: MountPolicy, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        grant(policy, ADMIN, path)
    assert set(caught.value.fields) == {"volumes.0.host_path"}


def test_a_folder_that_is_not_there(policy: MountPolicy, root: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        grant(policy, ALICE, root / "alice" / "nothing")


@pytest.mark.parametrize(
    "target",
    [
        "data",
        "/",
        "//",
        "/./",
        "/a/..",
        "/proc",
        "/proc/sys",
        "/sys/fs",
        "/dev/sda",
        "/var/run/nvidia-container-devices/all",
        "//proc",
        "/x/../proc",
        "/a\0b",
    ],
)
def test_targets_that_are_refused(policy: MountPolicy, root: Path, target: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        policy.grant(ADMIN, [Volume(host_path=str(root), container_path=target)])
    assert set(caught.value.fields) == {"volumes.0.container_path"}


def test_one_target_twice(policy: MountPolicy, root: Path) -> None:
    volumes = [Volume(host_path=str(root), container_path=path) for path in ("/a", "/a/")]
    with pytest.raises(InvalidRequest, match="given twice"):
        policy.grant(ADMIN, volumes)


def test_a_device_or_socket_is_no_folder(policy: MountPolicy, root: Path) -> None:
    os.mkfifo(root / "alice" / "pipe")
    with pytest.raises(InvalidRequest, match="neither a folder nor a file"):
        grant(policy, ALICE, root / "alice" / "pipe")


@needs_root
def test_a_folder_is_looked_at_again(policy: MountPolicy, root: Path) -> None:
    data = root / "alice" / "data"
    given = grant(policy, ALICE, data)
    policy.check(ALICE, given.mounts, given.user)
    os.chown(data, UID + 7, UID)
    with pytest.raises(Forbidden, match="owner"):
        policy.check(ALICE, given.mounts, given.user)
    data.rmdir()
    with pytest.raises(Forbidden, match="not the folder"):
        policy.check(ALICE, given.mounts, given.user)
    data.symlink_to("/etc")
    with pytest.raises(Forbidden):
        policy.check(ALICE, given.mounts, given.user)


def test_a_root_that_is_a_link_is_where_it_leads(root: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (root / "carol").symlink_to(home)
    policy = MountPolicy(root)
    carol = Account("user-9", "carol", "user")
    given = policy.grant(
        carol, [Volume(host_path=str(root / "carol"), container_path="/m")], remapped=True
    )
    assert given.mounts[0].source == str(home)


def test_what_the_kernel_shows_is_compared(tmp_path: Path) -> None:
    # This very process is the container: what it sees at a path is what is mounted there.
    mount = EngineMount("/", "/")
    assert mounted_elsewhere([mount], os.getpid()) is None
    swapped = EngineMount(str(tmp_path), "/")
    assert mounted_elsewhere([swapped], os.getpid()) == "/"
    link = tmp_path / "link"
    link.symlink_to("/etc")
    assert mounted_elsewhere([EngineMount(str(link), "/m")], 0) == "/m"
    assert mounted_elsewhere([EngineMount("volume", "/m", kind="volume")], 0) is None


def test_what_ended_at_once_is_believed_only_with_proof(tmp_path: Path) -> None:
    folder = tmp_path / "alice" / "data"
    folder.mkdir(parents=True)
    mounts = [EngineMount(str(folder), "/m")]
    # Nobody's folder but root's would count less; whoever runs the tests may be root.
    folder.parent.chmod(0o777)
    before = Witness.of(mounts)
    assert before is not None
    (folder / "made inside").touch()
    assert mounted_elsewhere(mounts, 0, before=before, trusted=False) is None
    # What nobody looked at before is not believed.
    assert mounted_elsewhere(mounts, 0, before=None, trusted=False) == "/m"
    # Swapped and put back: the path is the same, and yet it shows.
    folder.rename(tmp_path / "away")
    folder.symlink_to("/etc")
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert mounted_elsewhere(mounts, 0, trusted=True) is None
    assert mounted_elsewhere(mounts, 0, before=before, trusted=False) == "/m"


def test_a_swap_within_one_tick_of_the_clock_shows(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    folder = tmp_path / "data"
    for _ in range(20):
        folder.mkdir()
        mounts = [EngineMount(str(folder), "/m")]
        before = Witness.of(mounts)
        assert before is not None
        folder.rename(tmp_path / "away")
        (tmp_path / "away").rename(folder)
        assert not before.holds(mounts)
        folder.rmdir()


def test_a_way_that_is_a_link_or_never_rests_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert Witness.of([EngineMount(str(tmp_path / "link"), "/m")]) is None
    assert Witness.of([EngineMount(str(tmp_path / "link" / "x"), "/m")]) is None
    assert Witness.of([EngineMount(str(tmp_path / "nothing"), "/m")]) is None

    tmp_path.chmod(0o777)

    # Somebody changes the folder whenever it is waited for; a thread of ours might get no turn.
    def changed(_seconds: float) -> None:
        (tmp_path / "touched").mkdir()
        (tmp_path / "touched").rmdir()

    monkeypatch.setattr(mounted, "SETTLED_NS", 10**10)
    monkeypatch.setattr("jupyter_ext.containers.mounted.time.sleep", changed)
    assert Witness.of([EngineMount(str(tmp_path / "data"), "/m")]) is None


def test_a_link_in_the_image_hides_no_folder(tmp_path: Path) -> None:
    # No mount point is called so, as where an image has a link there: some mount must show it.
    assert mounted_elsewhere([EngineMount("/", "/link")], os.getpid()) is None
    swapped = EngineMount(str(tmp_path), "/link")
    assert mounted_elsewhere([swapped], os.getpid()) == "/link"
    # One mount accounts for one folder.
    many = [EngineMount("/", f"/link-{number}") for number in range(10_000)]
    assert mounted_elsewhere(many, os.getpid()) is not None
