"""Requests that nobody would write: generated from the OpenAPI document, answered in the dialects.

None is answered by 5xx, none outside its dialect, and every operation is met by requests that
succeed and by requests that fail.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections import Counter, defaultdict
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from jupyter_ext.endpoints import ROUTES

from ..api.conftest import UNLIMITED
from ..api.test_errors_over_http import dialect_of
from ..engines import images, jupyter
from ..engines.certificates import Certificates
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.network import network
from ..engines.scratch import wait_until
from ..services.test_over_http import EDITOR
from .database_things import DatabaseThings

LOGIN = {"username": "admin", "password": "a secret one"}

DIALECT_OF: dict[str, str] = {}
for _route in ROUTES:
    # Of two documents that have a route, callers with a key see the first.
    DIALECT_OF.setdefault(f"{_route.method} {_route.path}", _route.dialect.name)

# What the library does with bytes of a kind that it doesn't know: nothing.
schemathesis.openapi.media_type("application/x-tar", st.binary())


@schemathesis.serializer("application/x-tar")
def as_it_is(ctx, value):
    """Bytes are sent as they are."""
    return {"data": value}


TIMEOUT = 120
"""Seconds: a request that does not ask for an answer at once waits for its backup or restore."""

ROUNDS = 20


class Recorder:
    """Sends cases and judges the replies."""

    def __init__(self, server: jupyter.JupyterServer, image: str) -> None:
        self.server = server
        self.image = image
        self.client = server.client(timeout=TIMEOUT)
        self.classes: dict[str, Counter[int]] = defaultdict(Counter)
        self.problems: list[str] = []
        self.sent = 0
        self.pullable = self.slow = ""
        self.server_engine: Any = None
        self.far: dict[str, Any] = {}
        self.random = random.Random(0)
        self.things = DatabaseThings(self.client)

    def known(self, path: str, name: str) -> str:
        """A thing that exists, for the parameter of a path; made where there is none."""
        client = self.client
        if (thing := self.things.known(path, self.name())) is not None:
            return thing
        if name == "action":
            return "start"
        if name == "service":
            client.post("services/vscode/start").raise_for_status()
            return "vscode"
        if name == "name":
            # A role that nobody here has: what is set of it bothers none of the other requests.
            return "viewer" if "quotas" in path else "docs.js"
        if name == "username":
            username = self.name()
            client.post("users", json={"username": username, "password": "secret"})
            if "/shares/" in path:
                client.put(f"images/{self.private()}/shares/{username}")
            return username
        if name == "gid":
            return "1"
        if name == "did" or path.startswith("/devices"):
            return "1"
        if name == "ref" and "/devices/" in path:
            return self.device()
        if name == "cid":
            return self.container()
        if name == "iid" or path.startswith("/images"):
            # While a container is based on it, nobody deletes it.
            self.container()
            return str(self.iid())
        if name == "key_id":
            made = client.post("api-keys", json={"name": "generated"})
            return str(made.json()["id"])
        if name == "role":
            made = client.post("roles", json={"name": self.name(), "permissions": []})
            return str(made.json()["name"])
        if name == "invitation_id":
            return str(client.post("invitations", json={}).json()["id"])
        if name == "operation_id":
            client.post("images/pull", json={"name": "127.0.0.1:1/none"})
            return str(client.get("operations").json()["operations"][0]["id"])
        if "/shares" in path:
            return self.private()
        if "images" in path:
            self.server_engine.docker("tag", self.image, "spare:latest")
            # The engine tells the server a moment later.
            wait_until(lambda: "spare:latest" in client.get("images").text, "the image")
            return "spare:latest"
        return self.container()

    def name(self) -> str:
        """A name that nothing has yet."""
        return "g" + "".join(self.random.choices(string.ascii_lowercase, k=8))

    def device(self) -> str:
        """The other host, added where it is none now."""
        added = self.client.get("devices").json()["devices"][1:]
        if not added:
            added = [self.client.post("devices", json=self.far).raise_for_status().json()]
        return str(added[0]["did"])

    def forget_devices(self) -> None:
        """Remove all other hosts."""
        for each in self.client.get("devices").json()["devices"][1:]:
            self.client.delete(f"devices/{each['did']}?force=true").raise_for_status()

    def iid(self) -> int:
        """The number of the image."""
        items = self.client.get("images?limit=1000").json()["data"]["items"]
        return int(next(item["iid"] for item in items if self.image in item["tags"]))

    def private(self) -> str:
        """An image that the caller saved."""
        for item in self.client.get("images?limit=1000").json()["data"]["items"]:
            if "jupyter-ext/admin/private:latest" in item["tags"]:
                return str(item["iid"])
        made = self.client.post(f"containers/{self.container()}/commit", json={"name": "private"})
        return str(made.json()["data"]["iid"])

    def container(self) -> str:
        """A running container of the caller's."""
        for item in self.client.get("containers").json()["data"]["items"]:
            if item["status"] == "running" and "8888/tcp" in item["ports"]:
                return str(item["cid"])
        body = {
            "name": "c" + "".join(self.random.choices(string.ascii_lowercase, k=8)),
            "image": self.image,
            "command": ["sleep", "3600"],
            "connect": True,
            "device": 1,
        }
        made = self.client.post("containers", json=body).json()
        assert made["code"] == 200, made
        return str(made["data"]["cid"])

    def send(self, operation, method, path, **options) -> int:
        """Send one and judge the reply."""
        label = f"{method} {operation}"
        self.sent += 1
        try:
            with self.client.stream(method, "../../" + path.lstrip("/"), **options) as reply:
                endless = "event-stream" in reply.headers.get("Content-Type", "")
                text = "" if endless else reply.read().decode(errors="replace")
                status = reply.status_code
        except httpx.InvalidURL:
            return 0
        except httpx.TimeoutException:
            self.problems.append(f"{label} {options} -> no answer within {TIMEOUT} s")
            return 0
        self.classes[label][status // 100] += 1
        # A page is not to be had at each `host` that its link may be asked for; and what another
        # request deleted is pulled from no registry here.
        unreachable = status == 503 and (
            operation.endswith("/open") or "looks for its GPUs: The image" in text
        )
        if status >= 500 and not unreachable:
            self.problems.append(f"{label} {options} -> {status} {text[:300]}")
        elif status >= 400:
            self.judge_error(label, reply, text)
        return status

    def judge_error(self, label, reply, text) -> None:
        """An error is JSON of its path's dialect."""
        try:
            body = reply.json()
        except ValueError:
            self.problems.append(f"{label} -> {reply.status_code} is not JSON: {text[:300]}")
            return
        expected = DIALECT_OF[label]
        if dialect_of(body) != expected:
            self.problems.append(f"{label} -> {reply.status_code} is not {expected}: {text[:300]}")

    def login(self) -> dict[str, str]:
        """The administrator's tokens, as one of the documents hands them out."""
        pair: dict[str, str] = self.client.post("login", json=LOGIN).raise_for_status().json()
        return pair

    def token(self) -> str:
        """The administrator's token, as another one does."""
        reply = self.client.post("auth/login", json=LOGIN).raise_for_status()
        return str(reply.json()["token"])


@pytest.fixture
def recorder(docker_engine, busybox_image, tmp_path):
    # Each run makes the same names.
    docker_engine.clean()
    cards = Cards(tmp_path, [Card("GPU-1")])
    config: dict[str, dict[str, Any]] = {
        "JupyterExt": {
            "rate_limits": {**UNLIMITED, "logins": {"amount": 0}},
            "registration": "open",
            "admin_password": LOGIN["password"],
        },
        "ServiceSettings": {"vscode_command": EDITOR},
        "ContainerDefaults": {"probe_image": "busybox:latest"},
    }
    with ExitStack() as stack:
        # On a host of its own, since engines that share /etc/docker are one.
        _, [host] = stack.enter_context(network(1))
        certificates = Certificates(tmp_path, host.address)
        address = f"tcp://{host.address}:2376"
        far = Dockerd(listen=(address,), options=certificates.options, host=host)
        images.load_busybox(stack.enter_context(far))
        server = stack.enter_context(
            jupyter.jupyter_server(
                docker_host=docker_engine.url, config=config, environ=cards.environ
            )
        )
        made = Recorder(server, busybox_image)
        made.server_engine = docker_engine
        made.far = {
            "name": "far",
            "address": address,
            "certificates": str(certificates.client),
            "gpus": [],
        }
        with made.client:
            yield made
            # The engine is the session's.
            made.client.delete(f"images/{made.private()}")


def hammer(recorder: Recorder, total: int) -> None:
    document = recorder.client.get("openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    found: Any = schema.get_all_operations()
    operations = [result.ok() for result in found]
    for operation in operations:
        good(recorder, operation)
    # What takes few different requests is through sooner; the others make up for it.
    for number in range(ROUNDS):
        each = -(-(total - recorder.sent) // len(operations))
        if each <= 0:
            break
        for operation in operations:
            strange(recorder, operation, each, number)


def strange(recorder, operation, count, number) -> None:
    """Send up to `count` generated requests, half of them at things that exist."""

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def run(case, real):
        path = operation.path
        for name, value in (case.path_parameters or {}).items():
            chosen = recorder.known(operation.path, name) if real else value
            path = path.replace("{" + name + "}", quote(str(chosen), safe=""))
        options: dict[str, Any] = {}
        if case.query:
            options["params"] = {str(key): str(value) for key, value in case.query.items()}
        if isinstance(case.body, bytes):
            options["content"] = case.body
        elif type(case.body).__name__ != "NotSet":
            options["content"] = json.dumps(case.body, default=str).encode()
        headers = {
            name: value
            for name, value in (case.headers or {}).items()
            if name.lower() == "idempotency-key" and value.isascii() and value.isprintable()
        }
        recorder.send(operation.path, operation.method.upper(), path, headers=headers, **options)

    run()
    recorder.things.tidy()


def good(recorder, operation) -> None:
    """One request that has to succeed, so that success is among what is met."""
    path = operation.path
    if (operation.method.upper(), path) == ("DELETE", "/api/v1/operations/{operation_id}"):
        # Only what still goes on can be cancelled.
        begun = recorder.client.post(
            "images/pull", json={"name": recorder.slow}, headers={"Prefer": "respond-async"}
        )
        path = path.replace("{operation_id}", begun.json()["data"]["id"])
    for name in re.findall(r"{(\w+)}", path):
        if "{" + name + "}" in path:
            path = path.replace("{" + name + "}", recorder.known(operation.path, name))
    method = operation.method.upper()
    name = recorder.name()
    account = {"username": name, "password": "secret"}
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "/api/v1/users"): account,
        ("POST", "/api/register"): account,
        ("POST", "/api/v1/roles"): {"name": name, "permissions": ["image:read"]},
        ("POST", "/api/login"): LOGIN,
        ("POST", "/api/v1/login"): LOGIN,
        ("POST", "/api/v1/auth/login"): LOGIN,
        ("PUT", "/api/v1/users/{username}/password"): {"password": "another"},
        ("POST", "/api/v1/api-keys"): {"name": name},
        ("POST", "/api/v1/containers"): {"name": name, "image": recorder.image},
        ("PUT", "/api/v1/containers/{ref}"): {"mem": 256},
        ("POST", "/api/v1/containers/{ref}/commit"): {"name": name},
        ("POST", "/api/v1/containers/{ref}/open"): {"service": "jupyter"},
        ("POST", "/api/v1/devices"): recorder.far,
        ("PUT", "/api/v1/devices/{ref}"): {"draining": False},
        ("PUT", "/containers/{cid}"): {"cmd": "stop"},
        ("POST", "/api/v1/images/pull"): {"name": recorder.pullable},
        ("POST", "/api/v1/images/build"): {"name": "notebook", "base": recorder.image},
    }
    if (body := recorder.things.body((method, operation.path), name)) is not None:
        bodies[method, operation.path] = body
    if operation.path in ("/containers", "/containers/create"):
        numbered = {"iid": recorder.iid(), "name": name, "cpu": 0.1, "mem": 16}
        bodies[method, operation.path] = numbered
    if operation.path in ("/images", "/images/create"):
        bodies[method, operation.path] = {"cid": int(recorder.container()), "name": name}
    if operation.path in ("/api/v1/auth/refresh", "/api/v1/auth/logout"):
        bodies[method, operation.path] = {"token": recorder.token()}
    if operation.path == "/api/v1/refresh":
        bodies[method, operation.path] = {"refresh_token": recorder.login()["refresh_token"]}
    if operation.path == "/api/v1/logout":
        bodies[method, operation.path] = {"token": recorder.login()["access_token"]}
    if operation.path == "/api/logout":
        # It empties cookies, so there have to be some.
        recorder.client.post("../login", json=LOGIN).raise_for_status()
    if (method, operation.path) == ("POST", "/api/v1/devices"):
        recorder.forget_devices()
    options: dict[str, Any] = {}
    if (method, operation.path) in bodies:
        options["json"] = bodies[method, operation.path]
    if operation.path == "/api/v1/images/build":
        # It begins, and busybox is no base that it could end well with.
        options["headers"] = {"Prefer": "respond-async"}
    if operation.path.endswith("/archive"):
        options["params"] = {"path": "/etc"}
        if method == "PUT":
            options["content"] = b"\0" * 10240
    status = recorder.send(operation.path, method, path, **options)
    assert 200 <= status < 300, (operation.path, status)


def judge(recorder: Recorder, total: int) -> None:
    assert not recorder.problems, "\n".join(recorder.problems[:20])
    assert recorder.sent >= total
    public = ("/api/v1/openapi.json", "/api/v1/docs")
    for label, classes in recorder.classes.items():
        assert classes[2], f"{label} never succeeded: {dict(classes)}"
        # What has no parameters at all can only be refused without a credential.
        if not classes[4] and label.partition(" ")[2] not in public:
            refused = httpx.request(
                label.partition(" ")[0],
                recorder.server.url + label.partition(" ")[2].lstrip("/"),
                trust_env=False,
            )
            assert refused.status_code == 401, label


@pytest.fixture
def pullable(recorder, registry):
    recorder.pullable = images.push_layers(registry.address, "generated", sizes=(1024,))
    recorder.slow = images.push_layers(registry.address, "slow", sizes=(96 << 20,))
    return recorder


@pytest.mark.slow
def test_300_generated_requests(pullable):
    hammer(pullable, 300)
    judge(pullable, 300)


@pytest.mark.slow
def test_10000_generated_requests(pullable):
    hammer(pullable, 10_000)
    judge(pullable, 10_000)
