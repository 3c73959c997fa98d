"""A Docker engine of the tests' own: private folders, socket, bridge and subnet.

Nothing of it outlives the tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .network import Host

ALIAS = "jupyter_ext tests of process "


class EngineMissing(RuntimeError):
    """No engine can run on this machine; the text says why."""


def dockerd_program() -> str:
    """Return the path of `dockerd`; raises `EngineMissing` where it can't be started."""
    program = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise EngineMissing("dockerd is not installed: apt-get install docker.io")
    if os.geteuid() != 0:
        raise EngineMissing("starting a dockerd needs root")
    return program


class Dockerd:
    """One private engine.

    Parameters
    ----------
    folder
        Everything of it lies below; made (and removed at the end) where None. Keep the path short:
        a socket's path may have 107 bytes.
    iptables
        Let it write the machine's firewall rules. Without them published ports work through its
        proxy processes, and nothing that other engines on the machine need is touched.
    outbound
        Let containers reach the world outside, which needs firewall rules.
    listen
        Further addresses, ``tcp://127.0.0.1:2376``.
    options
        Further options of the program.
    programs
        A folder that its PATH begins with.
    host
        The network that it lives in, with a name and an identity of its own; this machine's own
        where None.
    data
        Where its images lie, for those that shall be there the next time, too.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        iptables: bool = False,
        outbound: bool = False,
        listen: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
        programs: Path | None = None,
        host: Host | None = None,
        data: Path | None = None,
    ) -> None:
        self._host = host
        self.program = dockerd_program()
        self._programs = programs
        self._made_folder = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="jxd-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = data or self.folder / "data"
        self.socket = self.folder / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.log = self.folder / "dockerd.log"
        self.bridge = f"jx{secrets.token_hex(4)}"
        self._iptables = iptables or outbound
        self._outbound = outbound
        self._listen = listen
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._block = ipaddress.IPv4Network("0.0.0.0/32")

    # -- its life

    def start(self, timeout: float = 30) -> Dockerd:
        """Start it and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return self
        if not self._has_bridge():
            _remove_stale_bridges()
            self._make_bridge()
        switch = str(self._iptables).lower()
        command = [
            *self._elsewhere(),
            self.program,
            *("--data-root", str(self.data)),
            *("--exec-root", str(self.folder / "exec")),
            *("--pidfile", str(self.folder / "dockerd.pid")),
            *("--config-file", str(self._config())),
            *("--host", self.url),
            *(word for address in self._listen for word in ("--host", address)),
            *("--bridge", self.bridge),
            *("--default-address-pool", f"base={self._pool()},size=27"),
            f"--iptables={switch}",
            "--ip6tables=false",
            f"--ip-forward={str(self._outbound).lower()}",
            f"--ip-masq={str(self._outbound).lower()}",
            *self._options,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ(),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if self.socket.exists() and self._answers():
                return self
            time.sleep(0.05)
        tail = self.tail()
        self.stop()
        raise EngineMissing(f"dockerd did not start:\n{tail}")

    def _environ(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {**os.environ, "PATH": f"{self._programs}:{path}" if self._programs else path}

    def stop(self, timeout: float = 20) -> None:
        """End it, its containers and all that it started; remove what it left on the machine."""
        process = self._process
        if process is not None and process.poll() is None:
            self.resume()
            with contextlib.suppress(subprocess.SubprocessError):
                self._clean(timeout=timeout)
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._process = None
        self._end_leftovers()
        self._unmount()
        _remove_bridges(self._block)
        if self._made_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def halt(self, timeout: float = 20) -> None:
        """End it as an operator would (`systemctl stop docker`); `start` brings it back."""
        process = self._running()
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it as a crash would; its containers live on; `start` brings it back."""
        process = self._running()
        process.kill()
        process.wait()
        # Its containerd dies with it; where process 1 is slow to reap, the next start would take
        # the zombie for a living one and wait for it in vain.
        pid_file = self.folder / "exec" / "containerd" / "containerd.pid"
        until = time.monotonic() + 5
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text()
                if stat.rpartition(")")[2].split()[0] != "Z":
                    time.sleep(0.02)
                    continue
            break
        pid_file.unlink(missing_ok=True)

    def restart(self) -> None:
        """End it and start it again."""
        self.halt()
        self.start()

    def pause(self) -> None:
        """Make it hang: connections are accepted by the kernel and nothing is ever answered."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._running().send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Hang within the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    # -- using it

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the plain `docker` command finds this engine, nothing else."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        ours = {"DOCKER_HOST": self.url, "DOCKER_CONFIG": str(self.folder / "client")}
        # Images that are built by the engine itself know what they were built on.
        return {**kept, **ours, "DOCKER_BUILDKIT": "0"}

    def docker(
        self, *words: str, check: bool = True, timeout: float = 60, stdin: bytes | None = None
    ) -> str:
        """Run the plain `docker` command against it and return what it prints."""
        done = subprocess.run(
            ["docker", *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"docker {' '.join(words)}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="replace").strip()

    def clean(self, timeout: float = 60) -> None:
        """Remove all its containers.

        Raises
        ------
        TimeoutExpired
            It hangs; it was started again, so that only one test fails of it.
        """
        try:
            self._clean(timeout)
        except subprocess.TimeoutExpired:
            process = self._running()
            # Its own word for where all its threads are, for whoever looks for the reason.
            process.send_signal(signal.SIGUSR1)
            time.sleep(2)
            print(f"dockerd hangs:\n{self.tail(60)}")
            self.kill()
            self.start()
            raise

    def _clean(self, timeout: float) -> None:
        ids = self.docker("ps", "--all", "--quiet", "--no-trunc", check=False, timeout=timeout)
        if ids:
            self.docker("rm", "--force", "--volumes", *ids.split(), check=False, timeout=timeout)

    def tail(self, lines: int = 30) -> str:
        """Return the end of its log, for a message that says why something failed."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Dockerd:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- inside

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("this engine was not started")
        return self._process

    def _answers(self) -> bool:
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            self.docker("version", "--format", "{{.Server.Version}}", timeout=5)
            return True
        return False

    def _config(self) -> Path:
        # An empty file, since it would otherwise read the machine's /etc/docker/daemon.json.
        path = self.folder / "daemon.json"
        if not path.exists():
            path.write_text(json.dumps({}))
        (self.folder / "client").mkdir(exist_ok=True)
        return path

    def _elsewhere(self) -> tuple[str, ...]:
        """Words before the program that put it on its host.

        Two engines that share ``/etc/docker`` share their identity, too.
        """
        if self._host is None:
            return ()
        own = self.folder / "etc"
        own.mkdir(exist_ok=True)
        script = 'hostname "$1"; mkdir -p /etc/docker; mount --bind "$2" /etc/docker; shift 2; '
        return (
            *self._host.enter(),
            *("unshare", "--uts", "--mount"),
            *("sh", "-c", f'{script}exec "$@"', "sh", self._host.name, str(own)),
        )

    def _ip(self, *words: str) -> str:
        return _ip(*(("-n", self._host.name) if self._host else ()), *words)

    def _has_bridge(self) -> bool:
        return any(link["ifname"] == self.bridge for link in json.loads(self._ip("-json", "link")))

    def _make_bridge(self) -> None:
        """Make the bridge with a subnet that nobody on this machine uses."""
        taken = [
            ipaddress.IPv4Network(route["dst"], strict=False)
            for route in json.loads(_ip("-json", "-4", "route", "show", "table", "all"))
            if "/" in route.get("dst", "")
        ]
        blocks = list(ipaddress.IPv4Network("10.128.0.0/10").subnets(new_prefix=22))
        random.shuffle(blocks)
        self._block = next(b for b in blocks if not any(b.overlaps(t) for t in taken))
        bridge_net, *_ = self._block.subnets(new_prefix=24)
        self._ip("link", "add", "name", self.bridge, "type", "bridge")
        self._ip("link", "set", self.bridge, "alias", f"{ALIAS}{os.getpid()} {self._block}")
        self._ip("addr", "add", f"{next(bridge_net.hosts())}/24", "dev", self.bridge)
        self._ip("link", "set", self.bridge, "up")

    def _pool(self) -> str:
        # The engine's own networks come from the upper half, so that none meets the bridge's.
        return str(list(self._block.subnets(new_prefix=23))[1])

    def _end_leftovers(self) -> None:
        """End what it leaves behind when it is killed: helpers, and processes of containers."""
        containers = self.data / "containers"
        ids = [entry.name for entry in containers.iterdir()] if containers.exists() else []
        for _ in range(10):
            found = list(_processes(str(self.folder / "exec"), ids))
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not found:
                return
            time.sleep(0.1)

    def _unmount(self) -> None:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        targets = [line.split(" ")[4].replace("\\040", " ") for line in mounts]
        ours = (f"{self.folder}/", f"{self.data}/")
        for target in reversed([t for t in targets if t.startswith(ours)]):
            subprocess.run(["umount", "--lazy", target], check=False, capture_output=True)


def _ip(*words: str) -> str:
    return subprocess.run(
        ["ip", *words], check=True, capture_output=True, text=True, timeout=10
    ).stdout


def _end_with_parent() -> None:
    # A killed test run must not leave an engine: the kernel tells it when its parent ends.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _processes(folder: str, containers: list[str]) -> Iterator[int]:
    """Find processes whose command line names the folder, or that run in one of the containers."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                groups = (entry / "cgroup").read_text()
                words = (entry / "cmdline").read_bytes()
                # Zombies have no words any more, and need nobody to end them.
                ours = folder.encode() in words or any(id_ in groups for id_ in containers)
                if words and ours:
                    yield int(entry.name)


def _remove_bridges(block: ipaddress.IPv4Network) -> None:
    """Remove every bridge of an engine: its own and those of the networks that it made."""
    for link in json.loads(_ip("-json", "-4", "addr", "show", "type", "bridge")):
        addresses = [ipaddress.IPv4Address(a["local"]) for a in link.get("addr_info", [])]
        if any(address in block for address in addresses):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("link", "delete", link["ifname"])


def _remove_stale_bridges() -> None:
    """Remove the bridges of test runs that were killed."""
    for link in json.loads(_ip("-json", "link", "show", "type", "bridge")):
        alias = link.get("ifalias", "")
        if alias.startswith(ALIAS):
            pid, _, block = alias[len(ALIAS) :].partition(" ")
            if not Path(f"/proc/{pid}").exists():
                _remove_bridges(ipaddress.IPv4Network(block))
