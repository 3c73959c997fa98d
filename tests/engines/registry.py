"""A real image registry on 127.0.0.1, where an engine needs no TLS to pull."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from . import require, scratch

CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "{address}"}}
"""


@dataclass(frozen=True)
class Registry:
    """A running registry.

    Attributes
    ----------
    address
        ``host:port``, the first part of its images' names.
    """

    address: str
    folder: Path

    @property
    def url(self) -> str:
        """The root of its API."""
        return f"http://{self.address}/v2/"


@contextmanager
def registry(host: str = "127.0.0.1") -> Iterator[Registry]:
    """Run Debian's docker-registry at an address of this machine."""
    program = require.program("registry", "docker-registry")
    with scratch.scratch_folder("registry") as folder:
        address = f"{host}:{scratch.free_port()}"
        config = folder / "config.yml"
        config.write_text(CONFIG.format(data=folder / "data", address=address))
        with (folder / "registry.log").open("wb") as log:
            process = subprocess.Popen(
                [program, "serve", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        running = Registry(address, folder)
        try:
            scratch.wait_until(lambda: _answers(running.url), "the registry's first answer", 15)
            yield running
        finally:
            scratch.stop(process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False
