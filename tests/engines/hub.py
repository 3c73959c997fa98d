"""A real JupyterHub: its proxy, its users as users of this machine, and the desk as its service.

Its configuration is the one of ``docs/operators.md``; only addresses, names and the way to log in
are the tests' own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from . import require, scratch
from .dockerd import Dockerd
from .jupyter import ROOT, environment
from .open_to_all import open_to_all
from .unix_users import UnixUser, unix_users

PASSWORD = "secret-of-the-tests"
SERVICE_TOKEN = "token-of-another-service"
OUTSIDE_TOKEN = "token-of-a-desk-outside"
ADMIN = "dana"
GROUP = "gpu-operators"
MEMBER = "olga"

#: What the tests need that no operator does.
OVERRIDES = """
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{{admin!r}}}
c.JupyterHub.load_groups = {{{group!r}: {{"users": [{member!r}]}}}}
c.JupyterHub.bind_url = {url!r}
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///" + {folder!r} + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = {folder!r} + "/cookie_secret"
c.ConfigurableHTTPProxy.api_url = {proxy_api!r}
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.pid_file = {folder!r} + "/proxy.pid"
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.environment = {environ!r}
c.JupyterHub.services[0]["environment"].update({environ!r})
c.JupyterHub.services.append({{"name": "other", "api_token": {service_token!r}, "admin": True}})
outside = {{"name": "outside", "url": {outside!r}, "api_token": {outside_token!r}}}
c.JupyterHub.services.append(outside | {{"oauth_no_confirm": True}})
"""


def documented_config() -> str:
    """Return the ``jupyterhub_config.py`` of the operators' page."""
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(# jupyterhub_config\.py\n.*?)```", page, re.DOTALL)
    assert found, "docs/operators.md shows no jupyterhub_config.py"
    return found[1]


@dataclass
class Hub:
    """A running hub.

    Attributes
    ----------
    url
        Of its proxy, ending in ``/``.
    outside
        Where a desk that the Hub does not start is expected.
    alice, bob
        Two who have servers.
    desk
        Whom the desk runs as.
    """

    url: str
    api: str
    outside: str
    folder: Path
    engine: Dockerd
    socket: Path
    alice: UnixUser
    bob: UnixUser
    desk: UnixUser
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """All that it, the desk and the users' servers have printed."""
        return (self.folder / "hub.log").read_text(errors="replace")

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Ask the Hub's API as a service that administers it."""
        headers = {"Authorization": f"token {SERVICE_TOKEN}"}
        reply = httpx.request(
            method, self.api + path, headers=headers, trust_env=False, timeout=30, **options
        )
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def token(self, user: str, *scopes: str) -> dict[str, str]:
        """Make a token of a user's, as the Hub's token page does."""
        body = {"note": "tests", **({"scopes": list(scopes)} if scopes else {})}
        found: dict[str, str] = self.ask("POST", f"/users/{user}/tokens", json=body)
        return found

    def desk_process(self) -> int:
        """Return the desk's process."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.stat().st_uid == self.desk.uid:
                return int(entry.name)
        raise RuntimeError(f"the desk does not run:\n{self.log}")


@contextmanager
def jupyterhub() -> Iterator[Hub]:
    """Run a hub, its proxy and its desk, and an engine that only the desk's user may use."""
    proxy = subprocess.run(
        [ROOT / "scripts" / "hub_proxy.sh"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if proxy.returncode:
        require.missing("hub", f"JupyterHub's proxy is missing: {proxy.stderr}")
    node = require.program("hub", "node")
    with ExitStack() as stack:
        folder = stack.enter_context(scratch.scratch_folder("hub"))
        folder.chmod(0o755)
        users = stack.enter_context(unix_users(folder, "alice", "bob", "desk"))
        alice, bob, desk = users
        engine, socket = _engine(stack, folder, desk)
        hub = _start(stack, folder, users, engine, socket, [node, proxy.stdout.strip()])
        try:
            _wait(hub)
            yield hub
        finally:
            scratch.stop(hub.process, 30)


def _engine(stack: ExitStack, folder: Path, desk: UnixUser) -> tuple[Dockerd, Path]:
    """Start an engine with a second socket, of the desk's group, as ``docker`` is elsewhere."""
    from . import images
    from .dockerd import EngineMissing

    socket = folder / "docker.sock"
    options = ("--group", desk.name)
    try:
        engine = stack.enter_context(Dockerd(listen=(f"unix://{socket}",), options=options))
        images.load_busybox(engine)
    except EngineMissing as why:
        require.missing("docker", str(why))
    return engine, socket


def _start(
    stack: ExitStack,
    folder: Path,
    users: list[UnixUser],
    engine: Dockerd,
    socket: Path,
    proxy: list[str],
) -> Hub:
    alice, bob, desk = users
    ports = {name: scratch.free_port() for name in ("proxy", "proxy_api", "hub", "desk", "outside")}
    url = f"http://127.0.0.1:{ports['proxy']}/"
    desk_address = f"http://127.0.0.1:{ports['desk']}"
    private = folder / "root"
    private.mkdir(mode=0o700)
    text = documented_config()
    for documented, here in (
        ('"jupyter", "ext", "serve"', f'{sys.executable!r}, "-m", "jupyter_ext.cli", "serve"'),
        ("http://127.0.0.1:8800", desk_address),
        ("/var/lib/desk", str(desk.home)),
        ("/var/run/docker.sock", str(socket)),
        ('"user": "desk"', f'"user": {desk.name!r}'),
    ):
        assert documented in text, f"docs/operators.md has no {documented}"
        text = text.replace(documented, here)
    environ = {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    text += OVERRIDES.format(
        password=PASSWORD,
        admin=ADMIN,
        group=GROUP,
        member=MEMBER,
        url=url,
        hub_port=ports["hub"],
        folder=str(private),
        proxy_api=f"http://127.0.0.1:{ports['proxy_api']}",
        proxy=proxy,
        python=sys.executable,
        environ=environ,
        service_token=SERVICE_TOKEN,
        outside=f"http://127.0.0.1:{ports['outside']}",
        outside_token=OUTSIDE_TOKEN,
    )
    config = private / "jupyterhub_config.py"
    config.write_text(text)
    needed = [ROOT, Path(sys.prefix), Path(sys.base_prefix), Path(proxy[1]).parents[3]]
    stage = folder / "stage"
    stage.mkdir()
    command = [sys.executable, "-m", "jupyterhub", "--config", str(config)]
    with (folder / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            open_to_all(needed, stage, command),
            cwd=folder,
            env=environment(private) | {"CONFIGPROXY_AUTH_TOKEN": "of-the-tests"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Hub(
        url=url,
        api=f"http://127.0.0.1:{ports['hub']}/hub/api",
        outside=f"http://127.0.0.1:{ports['outside']}",
        folder=folder,
        engine=engine,
        socket=socket,
        alice=alice,
        bob=bob,
        desk=desk,
        process=process,
    )


def _wait(hub: Hub) -> None:
    def ready() -> bool:
        if hub.process.poll() is not None:
            raise RuntimeError(f"the hub ended at its start:\n{hub.log}")
        try:
            page = httpx.get(hub.url + "services/desk/api/v1/docs", trust_env=False)
        except httpx.TransportError:
            return False
        return page.status_code == 200

    try:
        scratch.wait_until(ready, "the hub's and the desk's first answers", 90, 0.5)
    except TimeoutError as error:
        raise RuntimeError(f"{error}\n{hub.log}") from None
