from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from jupyter_ext.client import Client, find_server
from jupyter_ext.client.discovery import Credential
from jupyter_ext.errors import Unavailable


def record(home: Path, url: str, key: str = "jx_recorded", pid: int | None = None) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    file = home / "token"
    file.write_text(key)
    (home / "server.json").write_text(
        json.dumps({"url": url, "token_file": str(file), "pid": pid or os.getpid()})
    )
    return file


def test_arguments_win_over_everything(tmp_path: Path) -> None:
    record(tmp_path, "http://127.0.0.1:1/recorded/")
    environ = {"JUPYTER_EXT_HOME": str(tmp_path), "JUPYTER_EXT_URL": "http://127.0.0.1:2/"}
    server = find_server("http://127.0.0.1:3/x", "jx_given", environ=environ)
    assert server.url == "http://127.0.0.1:3/x/"
    assert server.credential.headers() == {"Authorization": "Bearer jx_given"}


def test_environment_wins_over_the_record(tmp_path: Path) -> None:
    record(tmp_path, "http://127.0.0.1:1/")
    file = tmp_path / "kernels"
    file.write_text("jx_kernel\n")
    environ = {
        "JUPYTER_EXT_HOME": str(tmp_path),
        "JUPYTER_EXT_URL": "http://127.0.0.1:2/a%40b/",
        "JUPYTER_EXT_TOKEN_FILE": str(file),
    }
    server = find_server(environ=environ)
    assert server.url == "http://127.0.0.1:2/a%40b/"
    assert server.credential.key == "jx_kernel"


def test_a_running_server_of_the_home_is_found(tmp_path: Path) -> None:
    record(tmp_path, "http://127.0.0.1:8888/a%40b/")
    server = find_server(environ={"JUPYTER_EXT_HOME": str(tmp_path)})
    assert server.url == "http://127.0.0.1:8888/a%40b/"
    assert server.credential.key == "jx_recorded"


def test_the_local_key_goes_to_the_local_server_only(tmp_path: Path) -> None:
    record(tmp_path, "http://127.0.0.1:8888/")
    environ = {"JUPYTER_EXT_HOME": str(tmp_path)}
    assert find_server("http://127.0.0.1:8888", environ=environ).credential.key == "jx_recorded"
    assert find_server("http://elsewhere:8888", environ=environ).credential.key is None


def test_a_record_of_a_dead_process_is_no_server(tmp_path: Path) -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    record(tmp_path, "http://127.0.0.1:8888/", pid=done.pid)
    with pytest.raises(Unavailable, match="No running server was found"):
        find_server(environ={"JUPYTER_EXT_HOME": str(tmp_path)})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 1}', '{"url": "http://x", "pid": "p"}'])
def test_a_broken_record_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    with pytest.raises(Unavailable):
        find_server(environ={"JUPYTER_EXT_HOME": str(tmp_path)})


def test_no_server_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        find_server(environ={"JUPYTER_EXT_HOME": str(tmp_path)})
    assert "jupyter lab" in caught.value.message
    assert "PIG_URL" in caught.value.message


def test_documents_write_the_address_with_the_version() -> None:
    assert find_server("http://localhost:8000/api/v1", "k").url == "http://localhost:8000/"
    assert find_server("localhost:8000", "k").url == "http://localhost:8000/"


@pytest.mark.parametrize("url", ["ftp://x", "http://", "://"])
def test_no_address_is_told(url: str) -> None:
    with pytest.raises(Unavailable, match="no address"):
        find_server(url, "k")


def test_reload_tells_whether_the_key_is_another(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("jx_1")
    credential = Credential(file=file)
    assert not credential.reload()
    file.write_text("jx_2")
    assert credential.reload()
    assert credential.key == "jx_2"
    file.unlink()
    assert not credential.reload()
    assert credential.key == "jx_2"


def test_keys_are_in_no_repr() -> None:
    client = Client("http://127.0.0.1:1/", "jx_secret")
    assert "secret" not in repr(client)
    assert "secret" not in repr(client.server)
    client.close()
