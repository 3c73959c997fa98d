from __future__ import annotations

import shlex
from typing import Any

import pytest
from IPython.utils.capture import capture_output

from jupyter_ext.notebook.failure import CommandFailed
from jupyter_ext.notebook.script import LONGEST_LINE, Script

from ..client.speaker import Speaker, Talking

WEB = {
    "id": "c" * 64,
    "cid": 7,
    "name": "web",
    "status": "running",
    "image": "nginx:<latest>",
    "created_at": "2026-01-01T00:00:00Z",
    "ports": {},
}


@pytest.fixture(autouse=True)
def to_the_speaker(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIG_URL", speaker.url)
    monkeypatch.setenv("PIG_API_KEY", "jx_secret-of-the-tests")
    speaker.says("GET /api/v1/containers", {"data": {"total": 1, "items": [WEB]}})


def run(shell: Any, code: str) -> Any:
    with capture_output() as captured:
        result = shell.run_cell(code)
    return result, captured


def test_a_list_is_a_table_and_can_be_worked_with(shell: Any) -> None:
    result, captured = run(shell, "found = %container list\nfound[0].name, len(found)")
    assert result.result == ("web", 1)
    (shown,) = captured.outputs
    assert ">NAME</th>" in shown.data["text/html"]
    assert "nginx:&lt;latest&gt;" in shown.data["text/html"]
    assert "nginx:<latest>" in shown.data["text/plain"]


def test_what_stands_last_is_shown_once(shell: Any) -> None:
    _, captured = run(shell, "%container list")
    assert len(captured.outputs) == 1
    assert "NAME" not in captured.stdout


def test_every_list_of_a_cell_is_shown(shell: Any) -> None:
    _, captured = run(shell, "%container list\n%container list\n1 + 1")
    assert len(captured.outputs) == 2


def test_json_and_quiet_are_printed(shell: Any) -> None:
    assert '"name": "web"' in run(shell, "%container list --json")[1].stdout
    assert run(shell, "%container -q list")[1].stdout == "web\n"
    assert "web" not in run(shell, "%container list")[1].stdout


def test_no_words_show_the_help(shell: Any) -> None:
    result, captured = run(shell, "%container")
    assert result.success
    assert "Usage: %container" in captured.stdout
    for command in ("list", "run", "start", "stop", "restart", "logs", "exec", "stats", "rm"):
        assert f"\n  {command} " in captured.stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%container show nothing", "Error: No /api/v1/containers/nothing"),
        ("%container strt web", "Error: No command 'strt'. Did you mean 'start'?"),
        ("%container start", "Error: Missing argument"),
        ("%container run -p x busybox", "Error: ports: 'x' is no port"),
        ("%container run 'busybox", "Error: No closing quotation"),
    ],
)
def test_errors_are_one_line_and_fail_the_cell(shell: Any, line: str, said: str) -> None:
    result, captured = run(shell, line)
    assert isinstance(result.error_in_exec, CommandFailed)
    assert result.error_in_exec._render_traceback_()[0].startswith(said)
    assert "Traceback" not in captured.stdout + captured.stderr


def test_what_is_not_found_is_listed_by_a_magic(shell: Any, speaker: Speaker) -> None:
    missing = {"code": "NOT_FOUND", "message": "No container goes by 'w'.", "details": {}}
    missing["details"] = {"container": "w"}
    speaker.says("GET /api/v1/containers/w", {"error": missing}, 404)
    result, _ = run(shell, "%container show w")
    assert "See `%container list`." in str(result.error_in_exec)


def test_no_server_is_one_line(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIG_URL")
    result, _ = run(shell, "%container list")
    assert "No running server was found" in str(result.error_in_exec)


def test_a_cell_runs_in_the_container(shell: Any, speaker: Speaker) -> None:
    async def talk(socket: Talking) -> None:
        await socket.say(["stdout", "hello\n"])
        await socket.say(["stderr", "oops\n"])
        await socket.say(["exit", 0])
        await socket.say(["disconnect", 1])

    speaker.sockets["/api/v1/containers/web/exec"] = talk
    result, captured = run(shell, "%%container web\necho 'hello'\necho oops >&2")
    assert result.success
    assert (captured.stdout, captured.stderr) == ("hello\n", "oops\n")
    assert shlex.split(speaker.asked[-1].query["cmd"]) == [
        "sh",
        "-c",
        "echo 'hello'\necho oops >&2\n",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("web --shell python3", ["python3", "-c"]),
        ("--shell=bash web", ["bash", "-c"]),
        ("--shell 'sh -e' web", ["sh", "-e", "-c"]),
        ("web --shell", ["sh", "-c"]),
    ],
)
def test_the_shell_can_be_chosen(shell: Any, speaker: Speaker, line: str, words: list[str]) -> None:
    async def talk(socket: Talking) -> None:
        await socket.say(["exit", 0])
        await socket.say(["disconnect", 1])

    speaker.sockets["/api/v1/containers/web/exec"] = talk
    assert run(shell, f"%%container {line}\nbody")[0].success
    assert shlex.split(speaker.asked[-1].query["cmd"]) == [*words, "body\n"]


def test_a_failing_command_fails_the_cell(shell: Any, speaker: Speaker) -> None:
    async def talk(socket: Talking) -> None:
        await socket.say(["exit", 3])
        await socket.say(["disconnect", 1])

    speaker.sockets["/api/v1/containers/web/exec"] = talk
    result, _ = run(shell, "%%container web\nexit 3")
    assert str(result.error_in_exec) == "The command ended with exit code 3."


@pytest.mark.parametrize(
    ("cell", "said"),
    [("%%container web\n   ", "The cell is empty"), ("%%container\nls", "Missing argument 'NAME'")],
)
def test_half_a_cell_says_what_is_missing(shell: Any, cell: str, said: str) -> None:
    result, _ = run(shell, cell)
    assert said in str(result.error_in_exec)


def test_a_long_cell_is_typed_in() -> None:
    short = Script.of("sh", "echo hi\n")
    assert short.command == ["sh", "-c", "echo hi\n"]
    cell = "# ä\n" * LONGEST_LINE
    script = Script.of("python3", cell)
    assert script.typed == cell
    assert len(shlex.join(script.command)) < LONGEST_LINE
    assert script.command[-2:] == ["python3", str(len(cell.encode()))]


def test_unloading_takes_the_magics_away(shell: Any) -> None:
    magics = shell.magics_manager.magics
    kept = magics["line"]["container"]
    shell.run_line_magic("unload_ext", "jupyter_ext")
    assert "container" not in magics["line"]
    assert "gpu" not in magics["line"]
    assert "container" not in magics["cell"]
    magics["line"]["container"] = kept


def test_images_are_shared_from_a_cell(shell: Any, speaker: Speaker) -> None:
    image = {"id": "sha256:1", "tags": ["tools:1"], "shared_with": ["ann"]}
    speaker.says("PUT /api/v1/images/tools/shares/ann", {"data": image})
    speaker.says("GET /api/v1/images", {"data": {"total": 1, "items": [image]}})
    result, _ = run(shell, "shared = %image share tools ann\nshared.shared_with")
    assert result.result == ["ann"]
    _, captured = run(shell, "%image")
    (shown,) = captured.outputs
    assert ">ann</td>" in shown.data["text/html"]
