"""A real Jupyter server with the extension, as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from . import clusters, scratch

ROOT = Path(__file__).resolve().parents[2]
PANEL = ROOT / "jupyter_ext" / "labextension"

# An odd path finds whatever forgets, or doubles, the quoting of the base URL.
BASE_URL = "/a%40b/"
TOKEN = "t0ken-of-the-tests"

#: What a developer's own session may have set and a test must not see.
FOREIGN = ("JUPYTER", "JPY_", "PIG_", "DOCKER_", "IPYTHON", "PYTHONSTARTUP", "XDG_")

Launch = Callable[[list[str], dict[str, str], Path, Path], subprocess.Popen[bytes]]
"""Starts a server: its command, environment, working folder and log."""


@dataclass
class JupyterServer:
    """A running server.

    Attributes
    ----------
    url
        Its root with the base URL, ending in ``/``.
    home
        Its JUPYTER_EXT_HOME.
    folder
        The notebook root.
    environ
        What a command that finds this server by itself must be started with.
    within
        Words that such a command begins with, where it must run in the server's namespaces.
    """

    url: str
    token: str
    home: Path
    folder: Path
    environ: dict[str, str]
    process: subprocess.Popen[bytes]
    log_file: Path
    python: str = sys.executable
    keys: dict[str, str] = field(default_factory=dict)
    within: list[str] = field(default_factory=list)

    @property
    def api(self) -> str:
        """The root of the versioned routes, without a last slash."""
        return self.url + "api/v1"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return httpx.URL(self.url).port or 80

    @property
    def log(self) -> str:
        """All that it has printed."""
        return self.log_file.read_text(errors="replace")

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command that shall find this server."""
        return subprocess.run(
            [*self.within, *command],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def pig(self, *arguments: str) -> str:
        """Run ``pig``, which must succeed, and return what it prints."""
        done = self.run(self.python, "-m", "jupyter_ext.cli", *arguments)
        assert done.returncode == 0, f"pig {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def key(self, name: str = "tests") -> str:
        """Return an API key that ``pig api key create`` made, one for each name."""
        if name not in self.keys:
            made = json.loads(self.pig("api", "key", "create", "--name", name, "--json"))
            self.keys[name] = made["key"]
        return self.keys[name]

    def user_key(self, username: str) -> str:
        """Return a new API key of somebody else's, made by the administrator."""
        options = ("--name", "tests", "--user", username, "--json")
        key: str = json.loads(self.pig("api", "key", "create", *options))["key"]
        return key

    def client(self, **options: Any) -> httpx.Client:
        """Return a client of the versioned routes that carries an API key."""
        options.setdefault("headers", {"X-API-Key": self.key()})
        options.setdefault("timeout", 60)
        return httpx.Client(base_url=self.api, trust_env=False, **options)

    def stop(self) -> None:
        """End it as Ctrl-C and a yes do."""
        scratch.stop(self.process)


def environment(folder: Path, prefix: Path | None = None, **more: str) -> dict[str, str]:
    """Return an environment whose every Jupyter folder lies below `folder`.

    Parameters
    ----------
    prefix
        An environment that has the package installed; the checkout is not to be seen then.
    """
    environ = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(FOREIGN)
    }
    paths = {
        "HOME": "user",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
        "JUPYTER_EXT_HOME": "home",
    }
    for variable, name in paths.items():
        path = folder / name
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        environ[variable] = str(path)
    if prefix is None:
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ.get('PATH', os.defpath)}"
        # The tests may run from a checkout that nobody installed.
        environ["PYTHONPATH"] = str(ROOT)
    else:
        environ["PATH"] = f"{prefix / 'bin'}:{tools(folder)}"
        environ.pop("PYTHONPATH", None)
    environ["JUPYTER_PLATFORM_DIRS"] = "1"
    return {**environ, **more}


def tools(folder: Path) -> Path:
    """Return a folder for PATH with what a shell has, and no Node."""
    chosen = folder / "bin"
    if not chosen.exists():
        chosen.mkdir()
        for name in ("sh", "bash", "env", "uname", "cat", "ls", "ldd"):
            if found := shutil.which(name):
                (chosen / name).symlink_to(found)
    return chosen


@contextmanager
def jupyter_server(
    *,
    docker_host: str | None = None,
    lab: bool = False,
    base_url: str = BASE_URL,
    token: str | None = TOKEN,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
    arguments: tuple[str, ...] = (),
    extension: bool = True,
    more_extensions: tuple[str, ...] = (),
    prefix: Path | None = None,
    launch: Launch | None = None,
    seconds: float = 60,
) -> Iterator[JupyterServer]:
    """Run a server with the extension, with every state of its own in a scratch folder.

    Parameters
    ----------
    docker_host
        The engine's address; without one, an address where nothing answers.
    lab
        JupyterLab with the panel, not only the server.
    token
        Jupyter's; None has the server make one up.
    config
        Traits by class, ``{"JupyterExt": {"allowed_mounts": ["/"]}}``.
    environ
        More environment variables.
    home
        A JUPYTER_EXT_HOME that outlives this server.
    extension
        Without it a bare server runs, for comparison.
    more_extensions
        Further server extensions, by the names of their modules.
    prefix
        A virtual environment that has the package installed. The server finds the extension and
        the panel there by itself; nothing of this checkout helps.
    launch
        Who starts it, where that is not this process: ends when the server does.
    """
    # What is made for databases is gone with the server, also where it is root's.
    with clusters.cluster_folder() as databases, scratch.scratch_folder("server") as folder:
        env = environment(folder, prefix, **(environ or {}))
        env["DOCKER_HOST"] = docker_host or f"unix://{folder}/no-engine.sock"
        if home is not None:
            env["JUPYTER_EXT_HOME"] = str(home)
        notebooks = folder / "notebooks"
        notebooks.mkdir()
        traits: dict[str, dict[str, Any]] = {
            "ServerApp": {
                "root_dir": str(notebooks),
                "open_browser": False,
                "port_retries": 0,
                "allow_root": True,
                "ip": "127.0.0.1",
                "base_url": base_url,
            },
            "JupyterExt": {"cluster_dir": str(databases)},
        }
        if token is not None:
            traits["IdentityProvider"] = {"token": token}
        if prefix is None:
            traits["ServerApp"]["jpserver_extensions"] = {
                "jupyter_ext": extension,
                "jupyterlab": lab,
                **dict.fromkeys(more_extensions, True),
            }
            traits["LabApp"] = {"extra_labextensions_path": [str(_labextensions(folder))]}
        for name, values in (config or {}).items():
            traits.setdefault(name, {}).update(values)
        port = scratch.free_port()
        traits["ServerApp"].setdefault("port", port)
        port = int(traits["ServerApp"]["port"])
        (Path(env["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.json").write_text(
            json.dumps(traits)
        )
        log_file = folder / "server.log"
        python = sys.executable if prefix is None else str(prefix / "bin" / "python")
        command = [python, "-m", "jupyterlab" if lab else "jupyter_server", *arguments]
        process = (launch or _launch)(command, env, notebooks, log_file)
        server = JupyterServer(
            url=f"http://127.0.0.1:{port}{base_url}",
            token=token or "",
            home=Path(env["JUPYTER_EXT_HOME"]),
            folder=notebooks,
            environ=env,
            process=process,
            log_file=log_file,
            python=python,
        )
        try:
            # Public, answered when the store is open, and made in no time.
            _wait(server, "api/v1/docs" if extension else "api", seconds)
            yield server
        finally:
            server.stop()


def _launch(
    command: list[str], env: dict[str, str], folder: Path, log_file: Path
) -> subprocess.Popen[bytes]:
    with log_file.open("wb") as log:
        return subprocess.Popen(
            command,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _labextensions(folder: Path) -> Path:
    # JupyterLab wants a folder of extensions; the built panel is one.
    extensions = folder / "labextensions"
    extensions.mkdir()
    (extensions / "jupyter-ext").symlink_to(PANEL)
    return extensions


def _wait(server: JupyterServer, path: str, seconds: float) -> None:
    headers = {"Authorization": f"token {server.token}"} if server.token else {}

    def ready() -> bool:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended at its start:\n{server.log}")
        try:
            reply = httpx.get(server.url + path, headers=headers, trust_env=False, timeout=30)
        except httpx.TransportError:
            return False
        return reply.status_code == 200

    try:
        scratch.wait_until(ready, "the server's first answer", seconds)
    except TimeoutError as error:
        raise RuntimeError(f"{error}\n{server.log}") from None
