"""``pig config``: a file that people edit, and a server fills its traits from."""

from __future__ import annotations

import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
import ruamel.yaml

from jupyter_ext import settings_file
from jupyter_ext.postgres.settings import PostgresSettings
from jupyter_ext.settings_file import BadSettings, SettingsFile, write

from .conftest import Pig


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home" / "piglet.yml"
    monkeypatch.setenv("PIG_HOME", str(path.parent))
    return path


def test_what_is_set_is_written_and_shown(pig: Pig, file: Path) -> None:
    assert pig("config", "set", "database.port", "5555").code == 0
    assert file.read_text() == "database:\n  port: 5555\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(pig("--json", "config", "show").out) == [
        {"name": "database.port", "value": 5555, "source": str(file)}
    ]
    assert "5555" in pig("config", "get", "database.port").out
    assert "(not set)" in pig("config", "get", "database.url").out


def test_comments_and_what_else_is_there_stay(pig: Pig, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("# ours\nsystem:\n  registration: open  # for the course\n")
    file.chmod(0o640)
    assert pig("config", "set", "system.password_length", "12").code == 0
    said = "# ours\nsystem:\n  registration: open  # for the course\n  password_length: 12\n"
    assert file.read_text() == said
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("databse.port", "1", "no section 'databse'"),
        ("database.prot", "1", "Is it port?"),
        ("database", "1", "has no setting ''"),
        ("database.port", "many", "database.port can't be 'many'"),
        ("database.port", "70000", "database.port can't be '70000'"),
        ("system.registration", "often", "closed"),
        ("services.warning_seconds", "nan", "services.warning_seconds can't be 'nan'"),
        ("storage.keep_replaced_days", "9" * 30, "storage.keep_replaced_days can't be"),
        ("logging.level", "loud", "debug, info, warning, error"),
    ],
)
def test_what_can_not_be_meant_is_named_and_not_written(
    pig: Pig, file: Path, name: str, value: str, said: str
) -> None:
    ran = pig("config", "set", name, value)
    assert ran.code == 2
    assert said in ran.err
    assert not file.exists()


def test_a_file_stays_whose_it_is_and_what_was_left_half_written_opens_nothing(
    pig: Pig, file: Path
) -> None:
    file.parent.mkdir()
    file.write_text("storage: {secret_key: old}\n")
    whose = 65534 if os.geteuid() == 0 else os.geteuid()
    os.chown(file, whose, -1)
    # Killed after it was made readable, before it was in its place.
    left = file.with_name(f".{file.name}.new")
    left.write_text("")
    left.chmod(0o644)
    seen = []

    def look(_settings: object, stream: IO[str]) -> None:
        seen.append(stat.S_IMODE(os.fstat(stream.fileno()).st_mode))
        stream.write("storage: {secret_key: new}\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ruamel.yaml.YAML, "dump", lambda _yaml, data, stream: look(data, stream))
        assert pig("config", "set", "storage.secret_key", "new").code == 0
    assert (seen, left.exists(), file.stat().st_uid) == ([0o600], False, whose)


def test_two_who_write_at_once_lose_nothing(file: Path) -> None:
    keys = ["port", "connections_per_user", "size_interval"]
    with ThreadPoolExecutor(3) as threads:
        for number in range(1, 11):
            for done in [threads.submit(write, file, "database", key, number) for key in keys]:
                done.result(30)
            found = SettingsFile.read(str(file), {})
            assert [found.get("database", key) for key in keys] == [str(number)] * 3
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_link_to_the_file_stays_one(pig: Pig, file: Path, tmp_path: Path) -> None:
    file.parent.mkdir()
    kept = tmp_path / "kept.yml"
    kept.write_text("database: {port: 1}\n")
    file.symlink_to(kept)
    assert pig("config", "set", "database.port", "2").code == 0
    assert (file.is_symlink(), kept.read_text()) == (True, "database: {port: 2}\n")


def test_a_broken_file_is_named(pig: Pig, file: Path) -> None:
    file.parent.mkdir()
    for text, said in (
        ("a: [", "is no YAML"),
        ("- a", "holds no sections"),
        ("a: \udcff", "is no YAML"),
    ):
        file.write_text(text, errors="surrogateescape")
        for arguments in (("config", "show"), ("config", "set", "database.port", "5"), ("status",)):
            ran = pig(*arguments)
            assert (ran.code, file.read_text(errors="surrogateescape")) == (2, text)
            assert said in ran.err
            assert str(file) in ran.err


def test_the_environment_counts_more(pig: Pig, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIG_DATABASE_PORT", "6001")
    ran = pig("config", "set", "database.port", "6000")
    assert "$PIG_DATABASE_PORT is set, and counts instead" in ran.err
    assert "6001" in pig("config", "get", "database.port").out
    traits = SettingsFile.read(None, {"PIG_HOME": str(file.parent), "PIG_DATABASE_PORT": "6001"})
    assert PostgresSettings(config=traits.traits()).port == 6001


def test_a_secret_is_shown_to_who_asks_for_it_alone(pig: Pig, file: Path) -> None:
    assert "hunter2" not in pig("config", "set", "storage.secret_key", "hunter2").out
    shown = pig("config", "show")
    assert "hunter2" not in shown.out + shown.err
    assert "hunter2" in pig("config", "get", "storage.secret_key").out


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://dba:hunter2@db.example:5432/app",
        "redis://:hunter2@db.example",
        "postgresql://db.example/app?password=hunter2",
        "host=db.example password='so hunter2' dbname=app",
    ],
)
def test_a_password_in_an_address_is_a_secret_too(pig: Pig, file: Path, value: str) -> None:
    assert "hunter2" not in pig("config", "set", "database.url", value).out
    shown = pig("config", "show")
    assert "db.example" in shown.out
    assert "hunter2" not in shown.out + shown.err
    assert "hunter2" in pig("config", "get", "database.url").out


def test_what_means_nothing_is_said(pig: Pig, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("databases: {port: 1}\ndatabase: {prot: 1}\nlogging: {level: info}\n")
    said = pig("config", "show").err
    assert "databases means nothing" in said
    assert "database.prot means nothing" in said


def test_a_level_of_no_log_is_named_with_its_place(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("logging: {level: loud}\n")
    with pytest.raises(BadSettings, match=rf"^{re.escape(str(file))}: logging.level can't be"):
        SettingsFile.read(str(file), {}).log_level()
    with pytest.raises(BadSettings, match=r"^\$PIG_LOGGING_LEVEL: "):
        SettingsFile.read(str(file), {"PIG_LOGGING_LEVEL": "5"}).log_level()
    assert SettingsFile.read(str(file), {"PIG_LOGGING_LEVEL": "Debug"}).log_level() == "DEBUG"


def test_the_machines_own_file_is_read_where_nobody_has_one(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybodys = tmp_path / "etc.yml"
    everybodys.write_text("database: {port: 4}\n")
    monkeypatch.setattr(settings_file, "SYSTEM_WIDE", everybodys)
    environ = {"PIG_HOME": str(file.parent)}
    assert SettingsFile.read(None, environ).get("database", "port") == "4"
    write(file, "database", "port", 5)
    assert SettingsFile.read(None, environ).get("database", "port") == "5"


def test_services_have_sections_of_their_own(pig: Pig, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(
        "services:\n"
        "  systemd_units: [cron]\n"
        "  vscode: {folder: /srv, colour: red}\n"
        "  jupyter: {warning_seconds: 7}\n"
        "  grafana: {unit: grafana-server}\n"
    )
    found = SettingsFile.read(str(file), {})
    assert found.traits().ServiceSettings == {
        "vscode_folder": "/srv",
        "warning_seconds": 7,
        "systemd_units": ["cron", "grafana-server"],
    }
    assert found.unknown() == ["services.vscode.colour"]
    assert "/srv" in pig("config", "get", "services.vscode.folder").out
    assert "vscode.colour" in pig("config", "get", "services.vscode.colour").err
    assert pig("config", "set", "services.vscode.folder", "/opt").code == 0
    assert SettingsFile.read(str(file), {}).get("services", "vscode_folder") == "/opt"


@pytest.mark.parametrize(
    ("units", "meant"),
    [("", ["grafana"]), ("redis", "redis"), ("5", 5), ("[cron]", ["cron", "grafana"])],
)
def test_a_services_unit_is_added_to_a_list_alone(file: Path, units: str, meant: object) -> None:
    file.parent.mkdir()
    text = f"services:\n  systemd_units: {units}\n  grafana: {{unit: grafana}}\n  x: {{unit: }}\n"
    file.write_text(text)
    # What is no list the trait refuses, by name.
    assert SettingsFile.read(str(file), {}).traits().ServiceSettings == {"systemd_units": meant}
