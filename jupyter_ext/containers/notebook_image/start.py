"""The notebook image's first program: starts sshd, JupyterLab and TensorBoard, and ends them.

It runs inside the image with the system's Python (3.10 or newer) and nothing else, as root or, in a
container with a folder of the host, as that folder's owner, whom the image has never heard of.

The password comes in the environment, since the engine has no better way. What is started here does
not inherit it: it lies in memory (`/dev/shm`), in files that only their owner reads, so that it
shows in no list of processes and in no image that is saved of the container.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

VARIABLE = "JUPYTER_EXT_PASSWORD"
BIN = Path("/opt/notebook/bin")
USER = "jupyter"
"""Who logs in where the container does not run as root."""

STOP_SECONDS = {"JupyterLab": 6.0, "TensorBoard": 1.5, "sshd": 0.5}
"""That each has to end, in this order; with the sessions' second it fits in the engine's ten."""
SESSIONS_SECONDS = 1.0
KERNEL_SECONDS = 3.0
"""That JupyterLab waits for a kernel that is busy."""

NO_PASSWORD = 78
"""The exit code of a wrong configuration (EX_CONFIG of sysexits.h)."""

# Where the engine and a GPU runtime mount what is no folder of the user's.
SYSTEM_FOLDERS = {"bin", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr"}
# What a session has of its own.
SESSION_OWN = {"HOME", "USER", "LOGNAME", "SHELL", "TERM", "PWD", "OLDPWD", "SHLVL", "MAIL", "_"}


class Stop(Exception):
    """The engine wants the container to end."""


@dataclass(frozen=True)
class Person:
    """Who the container runs as.

    Parameters
    ----------
    folder
        Where JupyterLab and shells begin: a folder of the host where there is one.
    """

    name: str
    uid: int
    gid: int
    home: Path
    folder: Path

    @property
    def is_root(self) -> bool:
        """Whether the container has a root."""
        return self.uid == 0


def say(text: str) -> None:
    """Write a line to the container's log."""
    print(f"notebook: {text}", flush=True)


def run(*command: str, given: str = "", check: bool = True) -> str:
    """Run a program to its end and return what it prints; `given` is its standard input."""
    done = subprocess.run(  # noqa: S603 - our own words
        command, input=given, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


# -- the password ----------------------------------------------------------------------------------


def begin_anew(password: str) -> NoReturn:
    """Become this program without the password in its environment.

    The kernel shows a process's first environment for as long as it lives. The password is handed
    over in a file that has no name, whose descriptor is the argument.
    """
    descriptor = os.memfd_create("password", 0)
    os.write(descriptor, password.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    command = [sys.executable, "-I", __file__, str(descriptor)]
    os.execv(sys.executable, command)  # noqa: S606 - no shell, on purpose


def handed_over(descriptor: int) -> str:
    """Return the password that `begin_anew` handed over."""
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


def write_secret(path: Path, text: str) -> Path:
    """Write a file that nobody else reads."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return path


# -- who it runs as --------------------------------------------------------------------------------


def person() -> Person:
    """Find out who the container runs as; whoever is not root gets a home folder."""
    uid, gid = os.getuid(), os.getgid()
    home = Path("/root") if uid == 0 else Path("/home") / USER
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != uid:
        # An image saved of somebody else's container has theirs.
        home = Path(tempfile.mkdtemp(prefix=f"{USER}-", dir="/home"))
    return Person("root" if uid == 0 else USER, uid, gid, home, mounted_folder() or home)


def mounted_folder() -> Path | None:
    """The first folder of the host that is mounted here and may be written to."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # The kernel writes blanks and the like as three octal digits.
        written = line.split(" ")[4].encode()
        point = re.sub(rb"\\(\d{3})", lambda code: bytes([int(code[1], 8)]), written)
        path = Path(os.fsdecode(point))
        if len(path.parts) == 1 or path.parts[1] in SYSTEM_FOLDERS:
            continue
        if path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK):
            return path
    return None


def names(who: Person, private: Path) -> dict[str, str]:
    """Return the variables with which programs find the name of a user whom the image lacks."""
    if who.is_root:
        return {}
    users = [f"{who.name}:x:{who.uid}:{who.gid}::{who.home}:/bin/bash"]
    for line in Path("/etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] != who.name and fields[2:3] != [str(who.uid)]:
            users.append(line)
    groups = Path("/etc/group").read_text().splitlines()
    if not any(line.split(":")[2:3] == [str(who.gid)] for line in groups):
        groups.append(f"{who.name}:x:{who.gid}:")
    passwd, group = private / "passwd", private / "group"
    passwd.write_text("\n".join(users) + "\n")
    group.write_text("\n".join(groups) + "\n")
    preload = ["libnss_wrapper.so", os.environ.get("LD_PRELOAD", "")]
    return {
        "LD_PRELOAD": " ".join(filter(None, preload)),
        "NSS_WRAPPER_PASSWD": str(passwd),
        "NSS_WRAPPER_GROUP": str(group),
    }


# -- sshd ------------------------------------------------------------------------------------------


def host_key(who: Person, private: Path, password: str) -> Path:
    """Return the container's host key, which is made at its first start.

    What lies on disk is sealed with the password: an image that is saved of the container tells
    nobody the key, and a container that is made of the image, with a password of its own, gets a
    key of its own.
    """
    key, sealed = private / "host_key", who.home / ".notebook_host_key"
    cipher = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-iter", "100000", "-pass", "stdin")
    if sealed.exists():
        write_secret(key, "")
        run(*cipher, "-d", "-in", str(sealed), "-out", str(key), given=password, check=False)
    # Another password opens nothing, or opens it to something that is no key.
    if not (key.exists() and run("ssh-keygen", "-y", "-P", "", "-f", str(key), check=False)):
        key.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "notebook", "-f", str(key))
        run(*cipher, "-in", str(key), "-out", str(sealed), given=password)
    say(f"the host key is {run('ssh-keygen', '-l', '-f', str(key))}")
    return key


def set_password(who: Person, private: Path, password: str) -> dict[str, str]:
    """Let the person in by the password; returns the variables that sshd needs for it."""
    if who.is_root:
        run("chpasswd", given=f"root:{password}\n")
        return {}
    hashed = run("openssl", "passwd", "-6", "-stdin", given=password)
    shadow = write_secret(private / "shadow", f"{who.name}:{hashed}:19000:0:99999:7:::\n")
    return {"NSS_WRAPPER_SHADOW": str(shadow)}


def sshd_config(who: Person, key: Path, environment: Mapping[str, str]) -> str:
    """Return sshd's configuration.

    Sessions begin with the container's environment, CUDA's and the GPU runtime's paths included,
    which sshd would otherwise keep from them.
    """
    given = {**environment, "NOTEBOOK_PATH": environment.get("PATH", "")}
    given["NOTEBOOK_FOLDER"] = str(who.folder)
    words = [
        '"{}"'.format(f"{name}={value}".replace("\\", "\\\\").replace('"', '\\"'))
        for name, value in given.items()
        if name not in SESSION_OWN and re.fullmatch(r"\w+", name) and value.isprintable()
    ]
    return f"""\
Port 22
HostKey {key}
PidFile none
UsePAM no
AllowUsers {who.name}
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
LoginGraceTime 30
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
SetEnv {" ".join(words)}
Subsystem sftp internal-sftp
"""


# -- all three -------------------------------------------------------------------------------------


@dataclass
class Service:
    """A program that runs for as long as the container does."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process, 0 where it does not run."""
        return self.process.pid if self.process else 0


def services(who: Person, private: Path, password: str) -> Iterator[Service]:
    """Prepare the three, one after the other."""
    # For the programs that prepare them, too: none likes a user without a name.
    os.environ.update(names(who, private))
    environment = {
        **os.environ,
        "HOME": str(who.home),
        "USER": who.name,
        "LOGNAME": who.name,
        # Not on disk, since JupyterLab writes its token there.
        "JUPYTER_RUNTIME_DIR": str(private / "jupyter"),
        "JUPYTER_TOKEN_FILE": str(write_secret(private / "token", password)),
    }
    if who.is_root:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    key = host_key(who, private, password)
    config = write_secret(private / "sshd_config", sshd_config(who, key, environment))
    logins = {**environment, **set_password(who, private, password)}
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "sshd"
    yield Service("sshd", [sshd, "-D", "-e", "-f", str(config)], logins)
    lab = ["--ip=0.0.0.0", "--port=8888", "--ServerApp.port_retries=0", "--no-browser"]
    lab.append(f"--KernelManager.shutdown_wait_time={KERNEL_SECONDS}")
    if who.is_root:
        lab.append("--allow-root")
    yield Service("JupyterLab", [str(BIN / "jupyter-lab"), *lab], environment)
    board = ["--host=0.0.0.0", "--port=6006", f"--logdir={who.folder / 'runs'}"]
    yield Service("TensorBoard", [str(BIN / "tensorboard"), *board], environment)


def start(service: Service, folder: Path) -> None:
    """Start a service in a session of its own: Ctrl-C at a terminal must not end all at once."""
    service.process = subprocess.Popen(  # noqa: S603 - our own words
        service.command, env=dict(service.environment), cwd=folder, start_new_session=True
    )
    say(f"{service.name} is started (process {service.pid})")


def watch(running: list[Service]) -> None:
    """Wait until none runs any more, and say so of each; what ended is not started again."""
    while any(service.process for service in running):
        pid, status = os.waitpid(-1, 0)
        for service in running:
            if service.pid == pid:
                service.process = None
                say(
                    f"{service.name} has ended by itself ({how(status)}) and is not started again; "
                    "the others go on. Start the container again to have it back."
                )


def how(status: int) -> str:
    """Say how a process ended."""
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else f"{signal.Signals(-code).name}"


def stop(running: list[Service]) -> None:
    """End all in order: first what has most to put away, last the sessions."""
    for service in sorted(running, key=lambda each: list(STOP_SECONDS).index(each.name)):
        if not service.pid:
            continue
        say(f"{service.name} is asked to end")
        os.kill(service.pid, signal.SIGTERM)
        if ended(service.pid, STOP_SECONDS[service.name]):
            say(f"{service.name} has ended")
        else:
            os.kill(service.pid, signal.SIGKILL)
            say(f"{service.name} did not end in {STOP_SECONDS[service.name]} s and was killed")
    # Shells of sessions, and what they left in the background: all but this and the first process.
    for each in (signal.SIGHUP, signal.SIGTERM):
        try:
            os.kill(-1, each)
        except ProcessLookupError:
            break
    until = time.monotonic() + SESSIONS_SECONDS
    while others() and time.monotonic() < until:
        time.sleep(0.02)
    say("all has ended")


def ended(pid: int, seconds: float) -> bool:
    """Wait for a child to end; False where it does not in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return True
        except ChildProcessError:
            return True
        time.sleep(0.02)
    return False


def others() -> list[int]:
    """Processes of the container beside this one and the first, but for dead ones."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in (1, os.getpid()):
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state != "Z":
                found.append(int(entry.name))
    return found


def on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """Begin to end."""
    raise Stop


def main() -> int:
    """Run until the engine says stop, or until nothing runs any more; returns the exit code."""
    if len(sys.argv) < 2:
        begin_anew(os.environ.pop(VARIABLE, ""))
    password = handed_over(int(sys.argv[1]))
    if not password:
        say(
            f"{VARIABLE} is not set, so that nobody could log in. Make the container with a "
            "password (POST /containers with the number of this image does), or give it a command."
        )
        return NO_PASSWORD
    private = Path(tempfile.mkdtemp(prefix="notebook-", dir="/dev/shm"))
    who = person()
    running: list[Service] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        say(f"runs as {who.name} ({who.uid}:{who.gid}) in {who.folder}")
        for service in services(who, private, password):
            running.append(service)
            start(service, who.folder)
        watch(running)
    except Stop:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        stop(running)
        return 0
    say("nothing runs any more")
    return 1


if __name__ == "__main__":
    sys.exit(main())
