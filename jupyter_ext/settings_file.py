"""The product's own configuration: YAML in sections, which fill the same traits as Jupyter's.

Each value is overridden by ``PIG_<SECTION>_<KEY>`` of the environment, and on a server all of it by
Jupyter's own configuration.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from math import isnan
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from traitlets import TraitType
    from traitlets.config import Config

NAME = "piglet.yml"
SYSTEM_WIDE = Path("/etc/piglet") / NAME

SECTIONS = {
    "system": "app:JupyterExt",
    "database": "postgres.settings:PostgresSettings",
    "services": "services.settings:ServiceSettings",
    "snapshots": "snapshots.settings:SnapshotSettings",
    "storage": "postgres.backup_settings:BackupSettings",
}
"""Whose traits the keys of a section are."""

PLAIN = {
    "system": {
        "url": "Address of a server elsewhere, for the command line.",
        "api_key_file": "File with a key for it.",
    },
    "logging": {"level": "debug, info, warning or error."},
}
"""Keys that are no traits, by section."""

LEVELS = ("debug", "info", "warning", "error")

SECRET = ("password", "passphrase", "secret", "secret_key", "store_key")
"""What the names of keys end in whose values are not shown."""


class BadSettings(ValueError):
    """A file or a value that can't be meant so; the text says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it comes from."""

    section: str
    key: str
    value: Any
    source: str

    @property
    def name(self) -> str:
        """What people write."""
        return f"{self.section}.{self.key}"

    @property
    def secret(self) -> bool:
        """Whether its value is not for a screen."""
        return self.key.endswith(SECRET)


class SettingsFile:
    """What the file and the environment say.

    Parameters
    ----------
    path
        None where there is no file.
    sections
        The file's.
    """

    def __init__(
        self, path: Path | None, sections: Mapping[str, Any], environ: Mapping[str, str]
    ) -> None:
        self.path = path
        self._sections = sections
        self._environ = environ

    @classmethod
    def read(cls, named: str | None, environ: Mapping[str, str]) -> SettingsFile:
        """Read the file that was named, or the first one that is there of those without a name.

        Raises
        ------
        BadSettings
            It can't be read, or is no YAML in sections.
        """
        name = named or environ.get("PIG_CONFIG")
        if name:
            path = Path(name).expanduser()
            return cls(path, _load(path), environ)
        for path in (*_in_homes(environ), SYSTEM_WIDE):
            if path.is_file():
                return cls(path, _load(path), environ)
        return cls(None, {}, environ)

    def get(self, section: str, key: str) -> str | None:
        """Return a setting as text."""
        overriding = self._environ.get(_variable(section, key))
        if overriding:
            return overriding
        value = self._section(section).get(key)
        return None if value is None else str(value)

    def log_level(self) -> str | None:
        """Return from which level on the server logs, as Python's `logging` calls it.

        Raises
        ------
        BadSettings
            There is none of this name.
        """
        level = self.get("logging", "level")
        if level is None:
            return None
        try:
            return _checked_level(level).upper()
        except BadSettings as error:
            variable = _variable("logging", "level")
            where = f"${variable}" if self._environ.get(variable) else self.path
            raise BadSettings(f"{where}: {error}") from None

    def all(self) -> Iterator[Setting]:
        """Return all that is set, each once."""
        for section in {**SECTIONS, **PLAIN}:
            there = self._section(section)
            known = sorted({*there, *traits_of(section), *PLAIN.get(section, ())})
            for key in known:
                variable = _variable(section, key)
                if self._environ.get(variable):
                    yield Setting(section, key, self._environ[variable], f"${variable}")
                elif key in there:
                    yield Setting(section, key, there[key], str(self.path))

    def unknown(self) -> list[str]:
        """Return what the file has that means nothing."""
        found = [name for name in self._sections if name not in {**SECTIONS, **PLAIN}]
        for section in {**SECTIONS, **PLAIN}:
            known = {*traits_of(section), *PLAIN.get(section, ())}
            found += [f"{section}.{key}" for key in self._section(section) if key not in known]
        return sorted(map(str, found))

    def traits(self) -> Config:
        """Return it as Jupyter's configuration."""
        from traitlets.config import Config
        from traitlets.config.loader import DeferredConfigString

        found = Config()
        for each in self.all():
            if each.key not in traits_of(each.section):
                continue
            value = each.value
            if each.source.startswith("$"):
                value = DeferredConfigString(value)
            found[_class_name(each.section)][each.key] = value
        return found

    def _section(self, name: str) -> Mapping[str, Any]:
        found = self._sections.get(name)
        if not isinstance(found, Mapping):
            return {}
        return _flat(found) if name == "services" else found


def _flat(services: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is said of each service as settings: ``{grafana: {unit: grafana-server}}``, say.

    A unit of systemd that is named so is one more of those that are listed.
    """
    nested = {key: said for key, said in services.items() if isinstance(said, Mapping)}
    flat = {
        _key_of(service, key): value
        for service, said in nested.items()
        for key, value in said.items()
        if key != "unit"
    }
    # What `pig config set` writes, which is the later word.
    flat |= {key: value for key, value in services.items() if key not in nested}
    listed = flat.get("systemd_units") or []
    units = [said["unit"] for said in nested.values() if said.get("unit")]
    # What is no list is left as it is, for whoever refuses it.
    if units and isinstance(listed, list):
        flat["systemd_units"] = [*listed, *units]
    return flat


def _key_of(service: str, key: str) -> str:
    """Return the setting that a service's own key means: vscode.command is vscode_command."""
    known = traits_of("services")
    names = (f"{service}_{key}", key if service == "jupyter" else "")
    return next((name for name in names if name in known), f"{service}.{key}")


def default_path(environ: Mapping[str, str]) -> Path:
    """Return where a file is made that is not there yet."""
    return _in_homes(environ)[0]


def traits_of(section: str) -> Mapping[str, TraitType[Any, Any]]:
    """Return the traits that a section may set, by key."""
    if section not in SECTIONS:
        return {}
    module, _, name = SECTIONS[section].partition(":")
    holder = getattr(import_module(f".{module}", __package__), name)
    own = holder.class_own_traits(config=True)
    return {str(key): trait for key, trait in own.items()}


def split(name: str) -> tuple[str, str]:
    """Take ``section.key`` apart.

    Raises
    ------
    BadSettings
        There is nothing of this name; the text says what there is.
    """
    section, _, key = name.partition(".")
    if section == "services" and "." in key:
        key = _key_of(*key.split(".", 1))
    if section not in {**SECTIONS, **PLAIN}:
        sections = ", ".join({**SECTIONS, **PLAIN})
        raise BadSettings(f"There is no section {section!r}: write one of {sections}, and .KEY.")
    known = sorted({*traits_of(section), *PLAIN.get(section, ())})
    if key not in known:
        from difflib import get_close_matches

        near = get_close_matches(key, known) or known
        raise BadSettings(f"{section} has no setting {key!r}. Is it {' or '.join(near)}?")
    return section, key


def parse(section: str, key: str, text: str) -> Any:
    """Return what a text means for a setting.

    Raises
    ------
    BadSettings
        It can't be meant so.
    """
    from traitlets import TraitError

    if (section, key) == ("logging", "level"):
        return _checked_level(text)
    trait = traits_of(section).get(key)
    if trait is None:
        return text
    try:
        # An object is asked of them for its name in messages alone.
        value = trait.validate(None, trait.from_string(text))  # type: ignore[attr-defined]
        if isinstance(value, float) and isnan(value):
            # No bound holds it back.
            raise ValueError(text)
        return value
    except (TraitError, ValueError, AttributeError, TypeError) as error:
        expected = trait.info()
        raise BadSettings(f"{section}.{key} can't be {text!r}: it takes {expected}.") from error


def _checked_level(text: str) -> str:
    level = text.strip().lower()
    if level not in LEVELS:
        raise BadSettings(f"logging.level can't be {text!r}: it takes {', '.join(LEVELS)}.")
    return level


def write(path: Path, section: str, key: str, value: Any) -> None:
    """Put a setting into a file; what else is there stays, comments too.

    Raises
    ------
    BadSettings
        The file can't be read or written.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A link leads to where the file is kept, and stays one.
        path = path.resolve()
        with _alone(path.parent):
            there = yaml.load(path.read_text()) if path.exists() else None
            sections = there if there is not None else {}
            if not isinstance(sections, dict):
                raise BadSettings(f"{path} holds no sections.")
            if not isinstance(sections.get(section), dict):
                sections[section] = {}
            sections[section][key] = value
            _replace(path, partial(yaml.dump, sections))
    except OSError as error:
        raise BadSettings(f"{path} can't be written: {error.strerror}.") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} is no YAML: {error}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others from changing the file between its being read and its being written."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, dump: Callable[[IO[str]], None]) -> None:
    """Write a file anew, whole or not at all; its mode and whose it is stay as they were."""
    new = path.with_name(f".{path.name}.new")
    # Of somebody who was killed; it may be open to others.
    new.unlink(missing_ok=True)
    # It may hold secrets.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            dump(file)
            if path.exists():
                before, now = path.stat(), os.fstat(descriptor)
                if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, before.st_mode & 0o777)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _in_homes(environ: Mapping[str, str]) -> list[Path]:
    from jupyter_core.paths import jupyter_data_dir

    homes = [environ.get("PIG_HOME"), environ.get("JUPYTER_EXT_HOME")]
    named = [Path(home).expanduser() / NAME for home in homes if home]
    return named or [Path(jupyter_data_dir()) / "jupyter_ext" / NAME]


def _variable(section: str, key: str) -> str:
    return f"PIG_{section}_{key}".upper()


def _class_name(section: str) -> str:
    return SECTIONS[section].partition(":")[2]


def _load(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(file.read_text())
    except OSError as error:
        raise BadSettings(f"{file} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} is no YAML: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise BadSettings(f"{file} holds no sections.")
    return found
