"""Where the engine is: found as the `docker` command finds it."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import InvalidRequest

SYSTEM_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine's address and what it takes to trust each other.

    Parameters
    ----------
    url
        ``unix:///var/run/docker.sock``, ``tcp://host:2376`` or ``ssh://user@host``.
    certificates
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem``; None for a connection without TLS.
    own_authority
        Whether the folder's ``ca.pem`` alone says which engine is the right one. Otherwise the
        system's authorities do, as of a context that was made without one.
    verify
        Whether the engine's own certificate is checked.
    host_key
        Of an ssh server, its public key as ``known_hosts`` has it (``ssh-ed25519 AAAA…``); where
        it is empty the files of ssh count.
    """

    url: str
    certificates: Path | None = None
    verify: bool = True
    host_key: str = ""
    own_authority: bool = True

    @property
    def kind(self) -> str:
        """``unix``, ``tcp`` or ``ssh``."""
        return {"http": "tcp", "https": "tcp"}.get(scheme := urlsplit(self.url).scheme, scheme)

    @property
    def path(self) -> str:
        """The path of the engine's Unix socket."""
        return urlsplit(self.url).path

    @property
    def host(self) -> str:
        """The engine's machine."""
        return urlsplit(self.url).hostname or "localhost"

    @property
    def port(self) -> int:
        """The engine's port."""
        return urlsplit(self.url).port or (2376 if self.tls else 2375)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted by TLS."""
        return self.certificates is not None or urlsplit(self.url).scheme == "https"

    @property
    def local(self) -> bool:
        """Whether the engine's machine is certainly this one."""
        return self.kind == "unix"

    def ssl_context(self) -> ssl.SSLContext:
        """Return the settings of a TLS connection to it.

        Raises
        ------
        OSError
            A file of the folder can't be read, or used. Where `ca.pem` is gone, nobody's word is
            taken in its place.
        """
        folder, ca = self.certificates, None
        if folder is not None and self.own_authority and self.verify:
            ca = folder / "ca.pem"
            # The library's own error names no file.
            ca.open("rb").close()
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if folder is not None and (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context


def find_address(named: str = "", environ: Mapping[str, str] | None = None) -> EngineAddress:
    """Find the engine in the order of the `docker` command.

    That is: the name given, ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the context chosen by
    ``docker context use``, the system's socket; and last the sockets of rootless engines.

    Raises
    ------
    InvalidRequest
        The address can't be understood, or the context does not exist.
    """
    env = os.environ if environ is None else environ
    folder = Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME") or "/") / ".docker")
    if named:
        return _checked(_with_environment(named, env, folder))
    if env.get("DOCKER_HOST"):
        return _checked(_with_environment(env["DOCKER_HOST"], env, folder))
    context = env.get("DOCKER_CONTEXT") or _current_context(folder)
    if context and context != "default":
        return _checked(_from_context(context, folder))
    return EngineAddress(f"unix://{_first_socket(env)}")


def _checked(address: EngineAddress) -> EngineAddress:
    if address.kind not in ("unix", "tcp", "ssh"):
        raise InvalidRequest(
            f"The engine's address {address.url!r} starts with none of unix://, tcp:// and ssh://."
        )
    return address


def _with_environment(url: str, env: Mapping[str, str], folder: Path) -> EngineAddress:
    verify = bool(env.get("DOCKER_TLS_VERIFY"))
    certificates = env.get("DOCKER_CERT_PATH")
    if url.startswith("/"):
        url = f"unix://{url}"
    if "://" not in url:
        url = f"tcp://{url}"
    if not url.startswith(("tcp:", "https:")) or not (verify or certificates):
        return EngineAddress(url)
    return EngineAddress(url, Path(certificates) if certificates else folder, verify)


def _current_context(folder: Path) -> str:
    try:
        settings = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return ""
    name = settings.get("currentContext", "") if isinstance(settings, dict) else ""
    return name if isinstance(name, str) else ""


def _from_context(name: str, folder: Path) -> EngineAddress:
    key = hashlib.sha256(name.encode()).hexdigest()
    try:
        about = json.loads((folder / "contexts" / "meta" / key / "meta.json").read_text())
        endpoint = about["Endpoints"]["docker"]
        url = str(endpoint["Host"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(
            f"There is no Docker context {name!r}. See `docker context ls`."
        ) from error
    certificates = folder / "contexts" / "tls" / key / "docker"
    return EngineAddress(
        url,
        certificates if certificates.is_dir() else None,
        not endpoint.get("SkipTLSVerify", False),
        own_authority=(certificates / "ca.pem").exists(),
    )


def _first_socket(env: Mapping[str, str]) -> str:
    """Return the first socket that is there, the system's where none is."""
    runtime = env.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    rootless = (f"{runtime}/docker.sock", f"{env.get('HOME') or '/'}/.docker/run/docker.sock")
    for path in (SYSTEM_SOCKET, *rootless):
        if Path(path).exists():
            return path
    return SYSTEM_SOCKET
