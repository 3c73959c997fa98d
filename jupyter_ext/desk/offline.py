"""The home and the store of this machine's server, for who works on them without it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, Forbidden
from ..store.database import Store
from .lock import DeskLock, find_desk

if TYPE_CHECKING:
    from traitlets.config import Config

JUPYTER_FILES = ("jupyter_jupyter_ext_config", "jupyter_server_config")
"""Configuration files that a server of ours reads; the later counts more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server keeps its state.

    Parameters
    ----------
    home
        ``JUPYTER_EXT_HOME``.
    store
        Not open.
    """

    home: Path
    store: Store


def find_place(settings: Config, given: Mapping[str, str], environ: Mapping[str, str]) -> Place:
    """Find what a server that starts on this machine would use.

    Parameters
    ----------
    settings
        From the product's own configuration file.
    given
        What counts more than any configuration: ``home``, ``store_url``, ``store_key_file``.
    environ
        The environment.

    Raises
    ------
    Forbidden
        The home is another user's, whom files made here would shut out.
    """
    configured = _traits(settings)
    home = given.get("home") or environ.get("PIG_HOME") or configured.get("home")
    home = home or environ.get("JUPYTER_EXT_HOME") or _default_home()
    folder = Path(home).expanduser().absolute()
    if folder.is_dir() and (owner := folder.stat().st_uid) != os.geteuid():
        raise Forbidden(
            f"The home {folder} is another user's (number {owner}). Run this as that user: "
            f"`sudo -u '#{owner}' pig admin …`."
        )
    url = given.get("store_url") or configured.get("store_url") or f"sqlite:///{folder}/store.db"
    key_file = given.get("store_key_file") or configured.get("store_key_file")
    key = None if given.get("store_key_file") else configured.get("store_key")
    file = Path(key_file).expanduser().absolute() if key_file else None
    return Place(folder, Store(url, key=key or None, key_file=file))


@contextmanager
def without_server(home: Path) -> Iterator[None]:
    """Keep every server from starting on a home meanwhile.

    Raises
    ------
    Conflict
        One runs.
    """
    lock = DeskLock(home)
    if not lock.acquire():
        desk = find_desk(home)
        named = f" at {desk.url} (process {desk.pid})" if desk else ""
        raise Conflict(
            "home", str(home), f"A server{named} runs on {home}. Stop it, and try again."
        )
    try:
        yield
    finally:
        lock.release()


def _default_home() -> str:
    from jupyter_core.paths import jupyter_data_dir

    return str(Path(jupyter_data_dir()) / "jupyter_ext")


def _traits(settings: Config) -> dict[str, str]:
    """Return what is configured of `JupyterExt`, by a file of ours or of Jupyter's."""
    from jupyter_core.application import JupyterApp

    reader = JupyterApp()
    for name in JUPYTER_FILES:
        reader.config_file_name = name
        reader.load_config_file()
    merged: dict[str, Any] = {**settings["JupyterExt"], **reader.config["JupyterExt"]}
    return {name: str(value) for name, value in merged.items() if isinstance(value, str)}
