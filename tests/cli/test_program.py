"""The program as a whole: its help, its settings, its exit codes, how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_ext import __version__
from jupyter_ext.cli import main
from jupyter_ext.cli.program import COMMANDS

from ..client.speaker import Speaker
from .conftest import Pig


def error(code: str, message: str, **details: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "details": details}}


def test_help_loads_little_and_names_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(name in done.stdout for name in COMMANDS)
    assert "Exit codes" in done.stdout
    # About a tenth of a second where nothing else runs, since what is heavy is imported late.
    heavy = (
        "import sys; from jupyter_ext.cli.program import run; run(['--help']); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", heavy], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"httpx", "rich", "yaml", "websockets", "tornado", "docker"} & set(loaded)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"serve"}))
def test_every_command_has_help(pig: Pig, command: str) -> None:
    ran = pig(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith("Usage: pig")


def test_version(pig: Pig) -> None:
    assert pig("-v").out == f"pig {__version__}\n"
    assert pig("--version").out == f"pig {__version__}\n"


def test_a_mistyped_command_is_corrected(pig: Pig) -> None:
    ran = pig("contaner", "list")
    assert (ran.code, ran.out) == (2, "")
    assert "Did you mean 'container'?" in ran.err
    assert pig("container", "lst").err.startswith("Error: No command 'lst'. Did you mean 'list'?")
    assert "There are: list, show," in pig("container", "xyz").err


def test_wrong_usage_says_where_to_look(pig: Pig) -> None:
    ran = pig("container", "start")
    assert ran.code == 2
    assert "`pig container start --help`" in ran.err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (400, "INVALID_REQUEST", 2),
        (401, "UNAUTHORIZED", 4),
        (403, "FORBIDDEN", 4),
        (404, "NOT_FOUND", 3),
        (409, "CONFLICT", 1),
        (500, "INTERNAL_ERROR", 1),
        (503, "UNAVAILABLE", 1),
    ],
)
def test_exit_codes(pig: Pig, speaker: Speaker, status: int, code: str, exit_code: int) -> None:
    speaker.says("GET /api/v1/status", error(code, "It is so."), status)
    ran = pig("status")
    assert ran.code == exit_code
    assert ran.out == ""
    assert ran.err.startswith("Error: It is so.")
    assert "Traceback" not in ran.err


def test_what_is_not_found_says_how_to_list(pig: Pig, speaker: Speaker) -> None:
    body = error("NOT_FOUND", "No container goes by 'web'.", container="web")
    speaker.says("GET /api/v1/containers/web", body, 404)
    assert "See `pig container list`." in pig("container", "show", "web").err


def test_a_dialect_that_does_not_say_what_is_missing_is_understood(
    pig: Pig, speaker: Speaker
) -> None:
    body = {"code": 404, "message": "No container goes by 'we b'.", "errors": []}
    speaker.says("GET /api/v1/containers/we%20b", body, 404)
    assert "See `pig container list`." in pig("container", "show", "we b").err


def test_every_wrong_field_is_named(pig: Pig, speaker: Speaker) -> None:
    body = {
        "code": 400,
        "message": "Two fields are wrong.",
        "errors": [
            {"field": "name", "message": "must begin with a letter"},
            {"field": "ports", "message": "80 is taken"},
        ],
    }
    speaker.says("POST /api/v1/containers", body, 400)
    ran = pig("container", "run", "busybox")
    assert ran.code == 2
    assert "  name: must begin with a letter\n  ports: 80 is taken" in ran.err


def test_errors_are_json_where_json_is_asked_for(pig: Pig, speaker: Speaker) -> None:
    speaker.says("GET /api/v1/status", error("NOT_FOUND", "No.", container="web"), 404)
    ran = pig("--json", "status")
    assert json.loads(ran.err)["error"]["details"] == {"container": "web"}


def test_no_server_says_how_to_get_one(pig: Pig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIG_URL")
    monkeypatch.delenv("PIG_API_KEY")
    ran = pig("status")
    assert ran.code == 1
    assert "jupyter lab" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [("--json", "status"), ("status", "--json")],
)
def test_global_options_may_stand_anywhere(
    pig: Pig, speaker: Speaker, arguments: tuple[str, ...]
) -> None:
    speaker.says("GET /api/v1/status", {"status": "healthy"})
    assert json.loads(pig(*arguments).out) == {"status": "healthy"}


def test_the_option_wins_over_the_environment(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker.says("GET /api/v1/status", {"status": "healthy"})
    monkeypatch.setenv("PIG_URL", "http://127.0.0.1:1/")
    assert pig("--url", speaker.url, "--api-key", "jx_other", "status").code == 0
    assert speaker.asked[0].headers["Authorization"] == "Bearer jx_other"


def test_the_configuration_file_names_the_server(
    pig: Pig, speaker: Speaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    speaker.says("GET /api/v1/status", {"status": "healthy"})
    monkeypatch.delenv("PIG_URL")
    monkeypatch.delenv("PIG_API_KEY")
    (tmp_path / "key").write_text("jx_filed\n")
    file = tmp_path / "pig.yml"
    file.write_text(f"system:\n  url: {speaker.url}\n  api_key_file: {tmp_path / 'key'}\n")
    assert pig("-c", str(file), "status").code == 0
    assert speaker.asked[-1].headers["Authorization"] == "Bearer jx_filed"
    monkeypatch.setenv("PIG_CONFIG", str(file))
    assert pig("status").code == 0
    monkeypatch.setenv("PIG_SYSTEM_URL", "http://127.0.0.1:1/")
    assert "http://127.0.0.1:1/" in pig("status").err


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "is no YAML"), ("- a", "no sections"), (None, "can't be read")]
)
def test_a_bad_configuration_file_is_wrong_usage(
    pig: Pig, tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "pig.yml"
    if text is not None:
        file.write_text(text)
    ran = pig("-c", str(file), "status")
    assert ran.code == 2
    assert said in ran.err


def test_a_bad_log_level_is_wrong_usage(pig: Pig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIG_LOG_LEVEL", "loud")
    ran = pig("status")
    assert ran.code == 2
    assert "debug, info, warning or error" in ran.err


def test_verbose_says_what_is_sent_and_never_the_key(speaker: Speaker) -> None:
    speaker.says("GET /api/v1/status", {"status": "healthy"})
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.cli", "--verbose", "status"],
        env={**os.environ, "PIG_URL": speaker.url, "PIG_API_KEY": "jx_secret"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "GET /api/v1/status: 200" in done.stderr
    assert "jx_secret" not in done.stderr + done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(speaker: Speaker) -> None:
    items = [
        {"id": f"{n:064}", "name": f"c{n}", "status": "exited", "image": "x"} for n in range(999)
    ]
    speaker.says("GET /api/v1/containers", {"data": {"total": 999, "items": items}})
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m jupyter_ext.cli container list | head -1"],
        env={**os.environ, "PIG_URL": speaker.url, "PIG_API_KEY": "k"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("NAME")
    assert done.stderr == ""


def test_the_shell_completes_names(speaker: Speaker) -> None:
    items = [{"id": "1", "name": "web"}, {"id": "2", "name": "worker"}, {"id": "3", "name": "db"}]
    speaker.says("GET /api/v1/containers", {"data": {"total": 3, "items": items}})
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.cli"],
        env={
            **os.environ,
            "PIG_URL": speaker.url,
            "PIG_API_KEY": "k",
            "_PIG_COMPLETE": "bash_complete",
            "COMP_WORDS": "pig container stop w",
            "COMP_CWORD": "3",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,web", "plain,worker"]


@pytest.mark.parametrize(
    ("called", "name"), [("/usr/bin/pig", "pig"), ("/usr/bin/jupyter-ext", "jupyter ext")]
)
def test_it_goes_by_two_names(
    called: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [called, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"Usage: {name} [OPTIONS]")


def test_serve_passes_its_options_on() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.cli", "serve", "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "--port" in done.stdout
