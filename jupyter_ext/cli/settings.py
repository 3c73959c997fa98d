"""The configuration file: YAML in sections, each value overridden by ``PIG_<SECTION>_<KEY>``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

SYSTEM_WIDE = Path("/etc/piglet/piglet.yml")


class Settings:
    """What the file and the environment say.

    Parameters
    ----------
    sections
        The file's.
    """

    def __init__(self, sections: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._sections = sections
        self._environ = environ

    @classmethod
    def read(cls, named: str | None, environ: Mapping[str, str]) -> Settings:
        """Read the file that was named, or one of those that are read by themselves."""
        name = named or environ.get("PIG_CONFIG")
        if name:
            return cls(_load(Path(name).expanduser()), environ)
        homes = [environ.get("PIG_HOME"), environ.get("JUPYTER_EXT_HOME")]
        files = [Path(home).expanduser() / "piglet.yml" for home in homes if home]
        for file in [*files, SYSTEM_WIDE]:
            if file.is_file():
                return cls(_load(file), environ)
        return cls({}, environ)

    def get(self, section: str, key: str) -> str | None:
        """Return a setting as text."""
        overriding = self._environ.get(f"PIG_{section}_{key}".upper())
        if overriding:
            return overriding
        found = self._sections.get(section)
        value = found.get(key) if isinstance(found, Mapping) else None
        return None if value is None else str(value)


def _load(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(file.read_text())
    except OSError as error:
        raise click.UsageError(f"{file} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} is no YAML: {error}") from error
    if found is not None and not isinstance(found, Mapping):
        raise click.UsageError(f"{file} holds no sections.")
    return found or {}
