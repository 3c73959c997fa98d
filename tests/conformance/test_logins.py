"""Logging in by four documents' own words, each against a server that nobody else uses.

Only host, port and credential are changed. What a sample does not show (the call that uses what it
got) is sent by the same means.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines import jupyter, require
from .samples import SEEDS, Sample, http_sample, samples

Json = dict[str, Any]


def words(seed: str, first: str, last: str) -> str:
    """A document's lines from the first that begins with `first` to the next with `last`."""
    lines = (SEEDS / f"{seed}.txt").read_text(encoding="utf-8").splitlines()
    (begin,) = [number for number, line in enumerate(lines) if line.startswith(first)]
    end = next(number for number in range(begin, len(lines)) if lines[number].startswith(last))
    return "\n".join(lines[begin : end + 1]) + "\n"


def pointed(text: str, **changes: str) -> str:
    """The words with host, port or credential changed, each of which they must have."""
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


@contextmanager
def fresh(**traits: Any) -> Iterator[jupyter.JupyterServer]:
    """A server with an empty store at the root, as the documents' addresses have it."""
    with jupyter.jupyter_server(base_url="/", config={"JupyterExt": traits}) as server:
        yield server


class Shell:
    """A reader's terminal beside a server, in a folder of its own."""

    def __init__(self, server: jupyter.JupyterServer, folder: Path) -> None:
        require.program("docker", "curl")
        self.server = server
        self.folder = folder
        self.address = f"127.0.0.1:{server.port}"
        self.numbers = 0

    def run(self, text: str) -> str:
        """Run lines in bash and return what they print."""
        self.numbers += 1
        file = self.folder / f"sample-{self.numbers}.sh"
        file.write_text(f"cd {self.folder}\n{text}", encoding="utf-8")
        done = self.server.run("bash", "-eu", str(file))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def node(self, text: str) -> Json:
        """Run lines in Node, which print one JSON text."""
        file = self.folder / "sample.mjs"
        file.write_text(text, encoding="utf-8")
        done = self.server.run(require.program("node", "node"), str(file))
        assert done.returncode == 0, done.stderr
        found: Json = json.loads(done.stdout)
        return found

    def curl(self, text: str) -> tuple[int, Json]:
        """Run a curl of a document; its status stands behind its reply."""
        printed = self.run(text.rstrip() + " --silent --write-out '\\n%{http_code}'\n")
        body, _, status = printed.rpartition("\n")
        return int(status), json.loads(body)


def is_moment(text: str) -> bool:
    """Whether a text is a time of RFC 3339 in UTC."""
    return text.endswith("Z") and datetime.fromisoformat(text).tzinfo is not None


# -- 000: a key that the command line makes ---------------------------------------------------


def is_status(body: Json) -> bool:
    return (
        body["status"] in ("healthy", "degraded", "unhealthy")
        and isinstance(body["version"], str)
        and isinstance(body["uptime"], int)
        and all(isinstance(state, str) for state in body["services"].values())
    )


@pytest.fixture(scope="module")
def piglet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, str]]:
    """A server, and the key that the document's command made."""
    with fresh() as server:
        shell = Shell(server, tmp_path_factory.mktemp("piglet"))
        (making,) = [each.text for each in samples("000") if "pig api" in each.text]
        assert making == "pig api key create --name mykey\n"
        printed = shell.run(making)
        (key,) = re.findall(r"jx_\S{49}", printed)
        yield shell, key


def test_000_its_key_opens_the_status_by_curl(piglet: tuple[Shell, str]) -> None:
    shell, key = piglet
    (text,) = [each.text for each in samples("000") if "YOUR_API_KEY" in each.text and
               each.language == "bash"]  # fmt: skip
    status, body = shell.curl(pointed(text, localhost=shell.address, YOUR_API_KEY=key))
    assert status == 200
    assert is_status(body)
    status, body = shell.curl(pointed(text, localhost=shell.address, YOUR_API_KEY="wrong"))
    assert (status, set(body["error"])) == (401, {"code", "message", "details"})
    assert body["error"]["code"] == "UNAUTHORIZED"


@pytest.mark.node
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_000_its_key_opens_the_status_in(
    piglet: tuple[Shell, str], language: str, tmp_path: Path
) -> None:
    shell, key = piglet
    (sample,) = [each for each in samples("000") if each.language == language]
    text = pointed(sample.text, localhost=shell.address, YOUR_API_KEY=key)
    replies = Sample(language, text).printed(tmp_path)
    assert len(replies) == 1
    assert is_status(replies[0])
    if "/databases" in sample.text:
        # It prints nothing of what it makes.
        headers = {"Authorization": f"Bearer {key}"}
        listed = httpx.get(f"http://{shell.address}/api/v1/databases", headers=headers, timeout=30)
        made = {each["name"]: each["owner"] for each in listed.json()["databases"]}
        assert made["mydb"] == "dba"


def test_000_users_as_the_document_asks_for_them(piglet: tuple[Shell, str]) -> None:
    shell, key = piglet
    root = httpx.URL(f"http://{shell.address}")
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=root, headers=headers, trust_env=False, timeout=30) as client:
        method, path, body = http_sample("000", "GET /api/v1/users")
        listed = client.request(method, path, content=body)
        assert listed.status_code == 200
        (admin,) = listed.json()["users"]
        assert set(admin) >= {"username", "role", "email", "databases", "created_at", "last_login"}
        assert (admin["username"], admin["role"]) == ("admin", "admin")
        assert is_moment(admin["created_at"])

        method, path, body = http_sample("000", "POST /api/v1/users")
        asked = json.loads(body)
        assert asked["databases"] == ["mydb"]
        # Nobody is made by halves.
        refused = client.post(path, json={**asked, "databases": ["nonexistent"]})
        assert refused.status_code == 404
        assert refused.json()["error"] == {
            "code": "NOT_FOUND",
            "message": "数据库未找到",
            "details": {"database": "nonexistent"},
        }
        assert len(client.get(path).json()["users"]) == 1

        # The document's own example has made it, where that was run before.
        assert client.post("/api/v1/databases", json={"name": "mydb"}).status_code in (201, 409)
        made = client.request(method, path, content=body)
        assert made.status_code == 201, made.text
        assert (made.json()["username"], made.json()["databases"]) == ("newuser", ["mydb"])
        assert asked["password"] not in made.text
        taken = client.post(path, json={**asked, "databases": []})
        assert (taken.status_code, taken.json()["error"]["code"]) == (409, "CONFLICT")
        names = [each["username"] for each in client.get(path).json()["users"]]
        assert names == ["newuser", "admin"]


# -- 002: one token ---------------------------------------------------------------------------


@pytest.mark.node
def test_002_a_token_by_fetch_and_by_curl(tmp_path: Path) -> None:
    script = words("002", "const response = await fetch(", "const { token } = await response")
    login = words("002", "curl -X POST http://localhost:3000/api/v1/auth/login", "-d '{")
    use = words("002", "curl -X GET http://localhost:3000/api/v1/vms", '-H "Authorization')
    with fresh(admin_password="admin123") as server:
        shell = Shell(server, tmp_path)
        # A page knows its host by itself; Node is told.
        script = script.replace("fetch('", f"fetch('http://{shell.address}")
        found = shell.node(
            f"{script}\nconsole.log(JSON.stringify({{ token, type: typeof token }}))"
        )
        assert found["type"] == "string"

        status, body = shell.curl(pointed(login, **{"localhost:3000": shell.address}))
        assert status == 200
        assert set(body) >= {"success", "data", "message", "timestamp", "token"}
        assert (body["success"], body["message"]) == (True, "操作成功")
        assert is_moment(body["timestamp"])
        assert body["token"] == body["data"]["token"]
        assert body["data"]["user"]["username"] == "admin"

        # The same words for what there is already: machines come later.
        use = pointed(use, **{"localhost:3000": shell.address, "/vms": "/users"})
        for token in (found["token"], body["token"]):
            status, body = shell.curl(pointed(use, **{"<your-token>": token}))
            assert (status, body["success"]) == (200, True)
            (admin,) = body["data"]["users"]
            assert (admin["username"], admin["status"]) == ("admin", "active")
            assert is_moment(admin["lastLogin"])
        wrong = login.replace("localhost:3000", shell.address).replace("admin123", "admin124")
        for text in (wrong, pointed(use, **{"<your-token>": "eyJh.eyJz.x"})):
            status, body = shell.curl(text)
            assert (status, body["success"]) == (401, False)
            assert set(body) == {"success", "error", "timestamp"}
            assert set(body["error"]) == {"code", "message", "details"}
            assert body["error"]["code"] == "UNAUTHORIZED"


# -- 003: a pair ------------------------------------------------------------------------------


def raw(port: int, text: str, body: str = "") -> tuple[int, Json]:
    """Send a request as a document writes it, byte by byte but for the length of its body."""
    head = f"{text} HTTP/1.1" if "\n" not in text else text.replace("\n", " HTTP/1.1\n", 1)
    data = body.encode()
    lines = [*head.splitlines(), f"Host: 127.0.0.1:{port}", f"Content-Length: {len(data)}"]
    message = "\r\n".join([*lines, "Connection: close", "", ""]).encode() + data
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(message)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, sent = reply.decode().partition("\r\n\r\n")
    return int(head.split()[1]), json.loads(sent)


def test_003_a_pair_by_plain_http() -> None:
    sample = words("003", "POST /api/v1/login", "}")
    shown = json.loads(words("003", '  "access_token"', '  "expires_in"').join("{}"))
    header = words("003", "Authorization: Bearer <token>", "Authorization").strip()
    head, _, body = sample.partition("\n\n")
    with fresh(admin_password="password") as server:
        status, pair = raw(server.port, head, body)
        assert status == 200
        assert set(pair) == set(shown)
        assert (pair["token_type"], pair["expires_in"]) == (
            shown["token_type"],
            shown["expires_in"],
        )
        for name in ("access_token", "refresh_token"):
            assert pair[name].startswith(shown[name].removesuffix("..."))

        def ask(token: str) -> tuple[int, Json]:
            return raw(
                server.port, f"GET /api/v1/currentUser\n{pointed(header, **{'<token>': token})}"
            )

        status, who = ask(pair["access_token"])
        assert (status, who["user"]["username"], who["user"]["role"]) == (200, "admin", "admin")
        for token in (pair["refresh_token"], "eyJh.eyJz.x"):
            status, refused = ask(token)
            assert (status, refused["code"]) == (401, "UNAUTHORIZED")
            assert set(refused) == {"code", "message", "details", "request_id"}
        status, refused = raw(server.port, head, body.replace('"password"\n', '"passwort"\n'))
        assert (status, refused["code"]) == (401, "UNAUTHORIZED")


# -- 004: cookies -----------------------------------------------------------------------------


class Jar:
    """What curl wrote into its file of cookies."""

    def __init__(self, file: Path) -> None:
        lines = [line for line in file.read_text().splitlines() if "\t" in line]
        fields = [line.split("\t") for line in lines]
        self.values = {field[5]: field[6] for field in fields if len(field) > 6}
        self.http_only = all(field[0].startswith("#HttpOnly_") for field in fields)
        self.ends = [int(field[4]) for field in fields]


def test_004_register_log_in_verify_and_log_out_by_curl(tmp_path: Path) -> None:
    register, login = (
        words("004", f"curl -X POST http://127.0.0.1:5000/api/{name}", "-d '{").rstrip()
        for name in ("register", "login")
    )
    jar = tmp_path / "cookies.txt"
    with fresh(admin_username="first", registration="open") as server:
        shell = Shell(server, tmp_path)
        register, login = (
            pointed(text, **{"127.0.0.1:5000": shell.address}) for text in (register, login)
        )
        verify = f"curl -X POST http://{shell.address}/api/verify -b cookies.txt"
        use = f"curl http://{shell.address}/api/v1/users/admin -b cookies.txt"
        logout = f"curl -X POST http://{shell.address}/api/logout -b cookies.txt -c cookies.txt"

        status, body = shell.curl(f"{login} -c cookies.txt")
        assert (status, body["status"]) == (401, -1)
        status, body = shell.curl(f"{register} -c cookies.txt")
        assert (status, body["status"]) == (200, 0)
        assert isinstance(body["message"], str)
        registered = Jar(jar)
        assert registered.values["username"] == "admin"
        assert shell.curl(verify) == (200, {"status": 0, "username": "admin"})
        status, body = shell.curl(f"{register} -c other.txt")
        assert (status, body["status"], set(body)) == (409, -1, {"status", "error"})
        assert not Jar(tmp_path / "other.txt").values

        status, body = shell.curl(f"{login} -c cookies.txt")
        assert (status, body["status"]) == (200, 0)
        logged_in = Jar(jar)
        assert logged_in.values["user_token"] != registered.values["user_token"]
        assert logged_in.http_only
        assert min(logged_in.ends) > time.time() + 3600
        assert shell.curl(verify) == (200, {"status": 0, "username": "admin"})
        status, body = shell.curl(use)
        # The name of the sample, the role of everybody who registers.
        assert (status, body["email"], body["role"]) == (200, "admic@matrix.com", "user")

        before = jar.read_text()
        status, body = shell.curl(logout)
        assert (status, body["status"]) == (200, 0)
        # Empty is logged out: curl keeps no cookie that has ended.
        assert not Jar(jar).values.get("user_token")
        assert shell.curl(verify)[0] == 401
        jar.write_text(before)
        status, body = shell.curl(verify)
        assert (status, body["status"]) == (401, -1)
        status, body = shell.curl(use)
        assert status == 401
        status, body = shell.curl(f"{login.replace('114514', '114515')} -c cookies.txt")
        assert (status, body["status"], set(body)) == (401, -1, {"status", "error"})
