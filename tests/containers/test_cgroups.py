"""Statistics from cgroup files, in trees of both versions as kernels and engines lay them out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jupyter_ext.containers.cgroups import CgroupReader, Target

ID = "ab" * 32
OTHER = "cd" * 32
MACHINE = 8_000_000 * 1024

MEMORY_1 = "cache 900\nrss 100\ninactive_file 1\ntotal_cache 900\ntotal_inactive_file 300\n"
MEMORY_2 = "anon 100\nfile 900\nslab 5\ninactive_anon 7\nactive_anon 9\ninactive_file 300\n"
NET = """Inter-|   Receive                            |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets
    lo:  999999 1 0 0 0 0 0 0  999999 1 0 0 0 0 0 0
  eth0:    1000 1 0 0 0 0 0 0    2000 1 0 0 0 0 0 0
  eth1:10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0
"""


class Kernel:
    """Files as a kernel shows them."""

    def __init__(self, root: Path) -> None:
        self.cgroup, self.proc = root / "cgroup", root / "proc"
        self.cgroup.mkdir()
        self.write(self.proc / "meminfo", f"MemTotal:  {MACHINE // 1024} kB\nMemFree: 1 kB\n")

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def process(self, pid: int, groups: str = "") -> None:
        self.write(self.proc / str(pid) / "net" / "dev", NET)
        self.write(self.proc / str(pid) / "cgroup", groups)

    def reader(self) -> CgroupReader:
        return CgroupReader(self.cgroup, self.proc)


class Version1(Kernel):
    version = 1

    def add(self, path: str, pid: int = 42) -> None:
        root = self.cgroup
        self.write(root / "cpuacct" / path / "cpuacct.usage", "5000000000\n")
        memory = root / "memory" / path
        self.write(memory / "memory.usage_in_bytes", "1000\n")
        self.write(memory / "memory.stat", MEMORY_1)
        self.write(memory / "memory.limit_in_bytes", "4096\n")
        self.write(memory / "cgroup.procs", f"{pid}\n{pid + 1}\n")
        self.write(
            root / "blkio" / path / "blkio.throttle.io_service_bytes_recursive",
            "8:0 Read 100\n8:0 Write 200\n8:0 Sync 5\n8:16 Read 1\n8:16 Write 2\nTotal 303\n",
        )
        self.write(root / "pids" / path / "pids.current", "2\n")
        self.process(pid, f"9:pids:/x\n4:memory:/{path}\n3:cpu,cpuacct:/{path}\n0::/\n")

    def limit(self, path: str, text: str) -> None:
        self.write(self.cgroup / "memory" / path / "memory.limit_in_bytes", text)

    def remove(self, path: str) -> None:
        for controller in self.cgroup.iterdir():
            shutil.rmtree(controller / path, ignore_errors=True)


class Version2(Kernel):
    version = 2

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write(self.cgroup / "cgroup.controllers", "cpu memory io pids\n")

    def add(self, path: str, pid: int = 42) -> None:
        base = self.cgroup / path
        self.write(base / "cpu.stat", "usage_usec 5000000\nuser_usec 1\nsystem_usec 1\n")
        self.write(base / "memory.current", "1000\n")
        self.write(base / "memory.stat", MEMORY_2)
        self.write(base / "memory.max", "4096\n")
        self.write(
            base / "io.stat",
            "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n",
        )
        self.write(base / "pids.current", "2\n")
        self.write(base / "cgroup.procs", f"{pid}\n{pid + 1}\n")
        self.process(pid, f"0::/{path}\n")

    def limit(self, path: str, text: str) -> None:
        self.write(self.cgroup / path / "memory.max", text)

    def remove(self, path: str) -> None:
        shutil.rmtree(self.cgroup / path)


@pytest.fixture(params=[Version1, Version2])
def kernel(request: pytest.FixtureRequest, tmp_path: Path) -> Version1 | Version2:
    found: Version1 | Version2 = request.param(tmp_path)
    return found


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_all_numbers(kernel: Version1 | Version2) -> None:
    kernel.add(f"docker/{ID}")
    reader = kernel.reader()
    assert reader.version == kernel.version
    found = reader.sweep([Target(ID)])[ID]
    assert found.cpu == 5_000_000_000
    # What can be dropped at once does not count.
    assert (found.memory, found.limit) == (700, 4096)
    assert (found.rx, found.tx) == (1010, 2020)
    assert (found.read, found.written, found.pids) == (101, 202, 2)
    reader.close()


@pytest.mark.parametrize(
    "path",
    [
        f"docker/{ID}",
        f"system.slice/docker-{ID}.scope",
        f"user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope",
        f"docker/{OTHER}/docker/{ID}",
    ],
)
def test_wherever_engines_put_them(kernel: Version1 | Version2, path: str) -> None:
    kernel.add(path)
    reader = kernel.reader()
    assert reader.measure(Target(ID, pid=42)) is not None
    reader.close()


def test_a_parent_of_ones_own(kernel: Version1 | Version2) -> None:
    kernel.add(f"my/group/{ID}")
    kernel.add(f"a.slice/a-b.slice/docker-{OTHER}.scope", pid=50)
    reader = kernel.reader()
    assert reader.measure(Target(ID, parent="/my/group")) is not None
    assert reader.measure(Target(OTHER, parent="a-b.slice")) is not None
    reader.close()


def test_an_unusual_place_is_learnt(kernel: Version1 | Version2) -> None:
    kernel.add(f"deep/in/docker-{ID}.scope")
    kernel.add(f"deep/in/docker-{OTHER}.scope", pid=50)
    reader = kernel.reader()
    assert reader.measure(Target(ID, pid=42)) is not None
    # Nothing is known of the second one's processes.
    assert reader.measure(Target(OTHER)) is not None
    reader.close()


def test_processes_in_groups_below(kernel: Version1 | Version2) -> None:
    path = f"machine/docker-{ID}.scope"
    kernel.add(path)
    groups = f"4:memory:/{path}/init.scope\n" if kernel.version == 1 else f"0::/{path}/init.scope\n"
    kernel.process(42, groups)
    # In v2 a group with groups below it has no processes of its own.
    memory = kernel.cgroup / ("memory" if kernel.version == 1 else "") / path / "cgroup.procs"
    memory.write_text("")
    found = kernel.reader().measure(Target(ID, pid=42))
    assert found is not None
    assert (found.rx, found.pids) == (1010, 2)


def test_a_process_of_somebody_else_is_not_believed(kernel: Version1 | Version2) -> None:
    kernel.add(f"docker/{OTHER}")
    assert kernel.reader().measure(Target(ID, pid=42)) is None


def test_the_hosts_network_is_not_the_containers(kernel: Version1 | Version2) -> None:
    kernel.add(f"docker/{ID}")
    found = kernel.reader().measure(Target(ID, own_network=False))
    assert found is not None
    assert (found.rx, found.tx) == (0, 0)


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n", "", "99999999999999\n"])
def test_no_limit_is_the_machines_memory(kernel: Version1 | Version2, text: str) -> None:
    kernel.add(f"docker/{ID}")
    kernel.limit(f"docker/{ID}", text)
    found = kernel.reader().measure(Target(ID))
    assert found is not None
    assert found.limit == MACHINE


def test_one_that_ended_is_left_out(kernel: Version1 | Version2) -> None:
    kernel.add(f"docker/{ID}")
    kernel.add(f"docker/{OTHER}", pid=50)
    reader = kernel.reader()
    targets = [Target(ID), Target(OTHER), Target("ef" * 32)]
    assert set(reader.sweep(targets)) == {ID, OTHER}
    kernel.remove(f"docker/{OTHER}")
    reader.keep_only({ID})
    assert set(reader.sweep(targets)) == {ID}
    reader.close()


@pytest.mark.parametrize("text", ["", "garbage\n", "usage_usec x\n"])
def test_nonsense_is_no_number(kernel: Version1 | Version2, text: str) -> None:
    kernel.add(f"docker/{ID}")
    if kernel.version == 1:
        kernel.write(kernel.cgroup / "cpuacct" / "docker" / ID / "cpuacct.usage", text)
        assert kernel.reader().measure(Target(ID)) is None
    else:
        kernel.write(kernel.cgroup / "docker" / ID / "memory.current", "garbage")
        assert kernel.reader().measure(Target(ID)) is None


def test_a_kernel_without_some_controllers(kernel: Version1 | Version2) -> None:
    kernel.add(f"docker/{ID}")
    if kernel.version == 1:
        shutil.rmtree(kernel.cgroup / "blkio")
        shutil.rmtree(kernel.cgroup / "pids")
    else:
        (kernel.cgroup / "docker" / ID / "io.stat").unlink()
        (kernel.cgroup / "docker" / ID / "pids.current").unlink()
    found = kernel.reader().measure(Target(ID))
    assert found is not None
    assert (found.memory, found.read, found.pids) == (700, 0, 0)


def test_no_kernel_files_at_all(tmp_path: Path) -> None:
    reader = CgroupReader(tmp_path / "none", tmp_path / "none")
    assert reader.sweep([Target(ID, pid=1)]) == {}


def test_files_stay_open_within_a_limit(
    kernel: Version1 | Version2, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (280, 280))
    ids = [f"{number:064x}" for number in range(30)]
    for number, id_ in enumerate(ids):
        kernel.add(f"docker/{id_}", pid=100 + number)
    before = open_files()
    reader = kernel.reader()
    for _ in range(3):
        assert len(reader.sweep([Target(id_) for id_ in ids])) == 30
    assert open_files() - before == 70
    reader.close()
    assert open_files() == before
