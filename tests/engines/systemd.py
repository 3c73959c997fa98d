"""A real systemd as the first process of namespaces of its own, with no unit but the tests'.

It sees this machine's files and network. Its mounts, processes, host name, control groups and
``/run`` are its own; settings of the kernel are read-only to it, and it has no right to the clock,
to modules or to a reboot. It ends with the tests' process, and all that it started with it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from . import require, scratch
from .unix_users import UnixUser

SYSTEMD = Path("/usr/lib/systemd/systemd")
JOURNALD = SYSTEMD.with_name("systemd-journald")
BOOTED = "tests.target"

RIGHTS = "-sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog,-audit_control,-audit_read"

# The control groups are of cgroup v2, also where this machine's own are of v1: a hierarchy
# without controllers is there as well, and no other is touched.
OUTSIDE = """
mount --make-rprivate /
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$1"
echo $$ >"/sys/fs/cgroup/$1/cgroup.procs"
exec unshare --cgroup -- sh -ec "$INSIDE" sh "$2"
"""

INSIDE = """
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for device in console kmsg; do
  [ ! -e "/dev/$device" ] || mount --bind /dev/null "/dev/$device"
done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
mount --bind "$1/machine-id" /etc/machine-id
mount --bind "$1/etc" /etc/systemd
for folder in /usr/lib/systemd/system /usr/lib/systemd/user /usr/lib/systemd/*-generators \\
  /usr/local/lib/systemd/system /usr/local/lib/systemd/user; do
  [ ! -d "$folder" ] || mount --bind "$1/empty" "$folder"
done
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=tests \
  setpriv --bounding-set "$RIGHTS" -- "$SYSTEMD" --system --unit="$BOOTED" --show-status=no
"""

REMOVED = """
mount --make-rprivate /
mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 0
[ ! -d "/sys/fs/cgroup/$1" ] || find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +
"""

#: What services depend on by themselves (systemd.service(5)), and a journal that is in memory.
UNITS = {
    BOOTED: "[Unit]\nRequires=basic.target\nAfter=basic.target\n",
    "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
    "sysinit.target": (
        "[Unit]\nDefaultDependencies=no\n"
        "Requires=systemd-journald.service\nAfter=systemd-journald.service\n"
    ),
    "shutdown.target": "[Unit]\nDefaultDependencies=no\n",
    "systemd-journald.service": (
        "[Unit]\nDefaultDependencies=no\n"
        f"[Service]\nType=notify\nExecStart={JOURNALD}\nRestart=always\n"
    ),
}
TOLD = ("DOCKER", "HOME", "IPYTHON", "JUPYTER", "PATH", "PYTHON")
"""What variables of a unit begin with; nothing else of this process's own gets there."""

PERSON = """[Service]
Type=notify
User={user.uid}
Group={user.gid}
Slice=user-{user.uid}.slice
Delegate=yes
Environment=HOME={user.home} XDG_RUNTIME_DIR=/run/user/{user.uid}
ExecStartPre=+mkdir -p /run/user/{user.uid}
ExecStartPre=+chown {user.uid}:{user.gid} /run/user/{user.uid}
ExecStart={systemd} --user --unit=basic.target
# The interpreter of the tests may lie in root's home.
AmbientCapabilities=CAP_DAC_READ_SEARCH
"""
"""What Debian's user@.service and a login's PAM do for somebody."""

JOURNAL = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=\nForwardToWall=no\n"


class Systemd:
    """One that runs.

    Parameters
    ----------
    pid
        Its number outside.
    whose
        Of whose own it is; None for the system's.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        pid: int,
        units: Path,
        whose: UnixUser | None = None,
    ) -> None:
        self._process = process
        self._pid = pid
        self._units = units
        self._whose = whose

    def of(self, user: UnixUser) -> Systemd:
        """Start somebody's own, as a login does."""
        units = user.home / ".config" / "systemd" / "user"
        units.mkdir(parents=True)
        self.write(f"user@{user.uid}.service", PERSON.format(user=user, systemd=SYSTEMD))
        self.run("systemctl", "start", f"user@{user.uid}.service")
        return Systemd(self._process, self._pid, units, user)

    @property
    def systemctl(self) -> list[str]:
        """The command's first words."""
        return ["systemctl", "--user"] if self._whose else ["systemctl"]

    def within(self, *command: str) -> list[str]:
        """Return what runs a command beside it."""
        spaces = ("--mount", "--uts", "--ipc", "--pid", "--cgroup")
        become: list[str] = []
        if (user := self._whose) is not None:
            become = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
            become += ["env", f"XDG_RUNTIME_DIR=/run/user/{user.uid}"]
        return ["nsenter", f"--target={self._pid}", *spaces, "--", *become, *command]

    def tried(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside it."""
        return subprocess.run(
            self.within(*command), capture_output=True, text=True, timeout=100, check=False
        )

    def run(self, *command: str) -> str:
        """Run a command beside it that must succeed, and return what it prints."""
        done = self.tried(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def write(self, unit: str, text: str) -> None:
        """Have it know a unit."""
        (self._units / unit).write_text(text)
        self.run(*self.systemctl, "daemon-reload")

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run(*self.systemctl, "show", f"--property={name}", "--value", unit).strip()

    def launch(
        self,
        unit: str,
        command: list[str],
        environ: Mapping[str, str],
        folder: Path,
        log: Path,
        more: str = "",
    ) -> subprocess.Popen[bytes]:
        """Start a program as a unit; what is returned ends when it does.

        Parameters
        ----------
        more
            Further lines of its section ``[Service]``.
        """
        file = self._units / f"{unit}.environment"
        told = (item for item in environ.items() if item[0].startswith(TOLD))
        file.write_text("".join(f'{name}="{text}"\n' for name, text in told))
        # The system's gives its own rights up before it looks for the program, in root's home say.
        words = command if self._whose else ["/usr/bin/env", *command]
        self.write(
            unit,
            f"[Service]\nExecStart={' '.join(words)}\nWorkingDirectory={folder}\n"
            f"EnvironmentFile={file}\n"
            f"StandardOutput=append:{log}\nStandardError=append:{log}\n{more}",
        )
        self.run(*self.systemctl, "start", unit)
        pid = self.show(unit, "MainPID")
        assert pid != "0", self.tried(*self.systemctl, "status", "--no-pager", unit).stdout
        # Not `systemctl start --wait`, which needs a bus.
        return subprocess.Popen(self.within("tail", f"--pid={pid}", "--follow", "/dev/null"))

    def end(self) -> None:
        """Kill it, and with it all that it started."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        scratch.wait_until(lambda: not psutil.pid_exists(self._pid), "the end of systemd")


@contextmanager
def systemd() -> Iterator[Systemd]:
    """Boot one, or end the test that needs it where this machine can't."""
    if os.geteuid() != 0:
        require.missing("systemd", "only root makes namespaces for it")
    for path in (SYSTEMD, JOURNALD, Path("/etc/machine-id")):
        if not path.exists():
            require.missing("systemd", f"no {path} is installed")
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if probe.returncode:
        require.missing("systemd", f"no namespaces are made here: {probe.stderr.decode().strip()}")
    group = f"jx-systemd-{secrets.token_hex(4)}"
    with scratch.scratch_folder("systemd") as folder:
        units = folder / "etc" / "system"
        units.mkdir(parents=True)
        (folder / "empty").mkdir()
        users = folder / "etc" / "user"
        users.mkdir()
        for name in ("basic.target", "shutdown.target"):
            (users / name).write_text("[Unit]\nDefaultDependencies=no\n")
        (folder / "machine-id").write_text(f"{secrets.token_hex(16)}\n")
        (folder / "etc" / "journald.conf").write_text(JOURNAL)
        for name, text in UNITS.items():
            (units / name).write_text(text)
        log = folder / "boot.log"
        variables = {"INSIDE": INSIDE, "RIGHTS": RIGHTS, "SYSTEMD": str(SYSTEMD), "BOOTED": BOOTED}
        own = ("--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc")
        boot = ["unshare", *own, "--", "sh", "-ec", OUTSIDE, "sh", group, str(folder)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", *boot],
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            running = _booted(process, units, log)
            try:
                yield running
            finally:
                running.end()
        finally:
            process.kill()
            process.wait()
            _remove(group)


def _booted(process: subprocess.Popen[bytes], units: Path, log: Path) -> Systemd:
    found: list[Systemd] = []

    def ready() -> bool:
        if process.poll() is not None:
            require.missing("systemd", f"it does not boot here: {log.read_text().strip()}")
        if not found:
            with suppress(psutil.Error):
                for child in psutil.Process(process.pid).children():
                    if child.name() == "systemd":
                        found.append(Systemd(process, child.pid, units))
        return bool(found) and found[0].tried("systemctl", "is-active", BOOTED).returncode == 0

    try:
        scratch.wait_until(ready, "systemd has booted")
    except TimeoutError as error:
        raise RuntimeError(f"{error}\n{log.read_text()}") from None
    return found[0]


def _remove(group: str) -> None:
    """Take its control groups away, which are empty once all its processes are gone."""

    def removed() -> bool:
        command = ["unshare", "--mount", "--", "sh", "-ec", REMOVED, "sh", group]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    scratch.wait_until(removed, "the control groups of systemd are gone", 10)
