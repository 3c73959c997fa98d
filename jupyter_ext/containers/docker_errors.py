"""What the engine says when it refuses or is not there, in our words."""

from __future__ import annotations

import re
import shutil

from ..errors import Away, Conflict, InvalidRequest, NotFound, PlatformError, Unavailable
from .docker_address import EngineAddress

_PORT = re.compile(
    r"(?:(?P<ip>[\d.]+|\[?[\da-fA-F:]*:[\da-fA-F:]*\]?):)?(?P<port>\d{1,5})(?:/(?:tcp|udp|sctp))?"
    r"(?: failed)?: (?:port is already allocated|(?:bind: )?address already in use)"
)
_NAME_TAKEN = re.compile(r'container name "/?(?P<name>[^"]+)" is already in use')
_NO_SUCH = re.compile(
    r"no such (?P<kind>container|image|network|volume|exec)(?:[\w ]*: (?P<name>\S+))?",
    re.IGNORECASE,
)
#: What the engine blames on itself and is the fault of what it was asked for.
_ASKED_WRONG = (
    "executable file not found",
    "unable to find user",
    "no matching entries in passwd",
    "permission denied: unknown",
    "no such file or directory: unknown",
    "is a directory: unknown",
    "not a directory",
    "invalid",
)


class EngineFault(Exception):
    """An answer of the engine that is a refusal: its HTTP status and its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


def translate(fault: EngineFault, kind: str, name: str) -> PlatformError:
    """Say in our words what the engine refused.

    Parameters
    ----------
    kind, name
        What was asked about, where the engine does not say it: ``container``, ``a1b2…``.
    """
    words = fault.message.strip() or "no reason"
    lower = words.lower()
    if found := _PORT.search(words):
        port, ip = found["port"], found["ip"]
        where = f" on {ip}" if ip else ""
        problem = {"ports": f"{port} is taken"}
        return Conflict("port", port, f"Port {port} is taken{where}.", fields=problem)
    if fault.status == 404:
        if said := _NO_SUCH.search(words):
            kind = said["kind"].lower()
            return NotFound(kind, said["name"] or name, f"Docker has no such {kind}: {words}")
        return NotFound(kind, name, f"Docker says: {words}")
    if fault.status == 409:
        if taken := _NAME_TAKEN.search(words):
            return Conflict("container", taken["name"])
        if "has dependent child images" in lower:
            return Conflict(
                kind,
                name,
                "Other images were made of this one. Delete them first, or delete it by its name: "
                "its layers stay with them.",
            )
        return Conflict(kind, name, f"Docker refuses: {words}")
    if "no space left on device" in lower or "disk quota exceeded" in lower:
        return Unavailable(
            "Docker's disk is full.", "Make room, for example with `docker system prune`."
        )
    if "could not select device driver" in lower:
        return Unavailable(
            "Docker on this machine can't hand out GPUs.", "Install nvidia-container-toolkit."
        )
    if fault.status == 400 or any(hint in lower for hint in _ASKED_WRONG):
        return InvalidRequest(f"Docker refuses: {words}")
    if fault.status in (0, 502, 503, 504):
        return Unavailable(f"Docker can't do this now: {words}")
    return Conflict(kind, name, f"Docker refuses: {words}")


def unavailable(address: EngineAddress, reason: str) -> Unavailable:
    """Say that the engine can't be used, and the cure.

    Parameters
    ----------
    reason
        What was seen, a system's error text or our own words.
    """
    lower = reason.lower()
    at = f"at {address.url}"
    if not address.local:
        return Away(
            f"Docker does not answer {at} ({reason}).",
            "Is the machine up, and is its address right? It is DOCKER_HOST's for the server's own "
            "engine; `pig device set` changes another device's.",
        )
    if "permission denied" in lower:
        return Unavailable(
            f"Docker may not be used by this user: {address.path} can't be opened.",
            "Join its group with `sudo usermod -aG docker $USER` and log in again.",
        )
    if "too much to do" in lower or "does not finish" in lower or "did not finish" in lower:
        return Away(f"Docker {at} {reason}.", "Try again in a moment.")
    path = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
    if not any(shutil.which(name, path=path) for name in ("dockerd", "docker", "podman")):
        return Unavailable(
            "Docker is not installed on this machine.",
            "Install it with `sudo apt-get install docker.io`.",
        )
    return Away(f"Docker does not answer {at}.", "Is it running? `sudo systemctl start docker`")
