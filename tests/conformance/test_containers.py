"""The dialect `containers`, by its document's own words."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines import images, jupyter, require, scratch
from ..engines import registry as registries
from ..engines.dockerd import Dockerd, EngineMissing
from .samples import Sample, samples

pytestmark = pytest.mark.docker

PAGE = "it works"
SERVES_HTTP = (
    f'CMD ["sh","-c","mkdir -p /var/www && echo {PAGE} > /var/www/index.html && '
    'exec httpd -f -p 80 -h /var/www"]',
    "ENV PATH=/bin",
    "EXPOSE 80",
)
SAMPLES = samples("001")
ITEM_FIELDS = {"id", "name", "status", "image", "created_at"}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    """An engine that nobody else uses, with a small web server tagged ``nginx:latest``."""
    try:
        with Dockerd() as running:
            images.load_busybox(running, "nginx:latest", changes=SERVES_HTTP)
            yield running
    except EngineMissing as why:
        require.missing("docker", str(why))


@pytest.fixture(scope="module")
def server(engine: Dockerd) -> Iterator[jupyter.JupyterServer]:
    """A server at the root, as the document's addresses have it."""
    with jupyter.jupyter_server(docker_host=engine.url, base_url="/") as running:
        yield running


@pytest.fixture
def client(server: jupyter.JupyterServer) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


@pytest.fixture
def empty_engine(engine: Dockerd, client: httpx.Client) -> Dockerd:
    """The engine without a container, and the server knowing it."""
    # By the server, which gives a port back before it answers; of others' deeds it hears later.
    for item in data(client.get("/containers"))["items"]:
        client.delete(f"/containers/{item['id']}", params={"force": True})
    engine.clean()
    scratch.wait_until(
        lambda: data(client.get("/containers"))["total"] == 0, "an empty list of containers"
    )
    return engine


@pytest.fixture
def port_of_the_samples() -> int:
    """8080, which the samples publish and which therefore can't be another."""
    try:
        scratch.wait_until(lambda: scratch.is_free(8080), "port 8080", 5)
    except TimeoutError:
        pytest.fail(
            "The document's samples publish port 8080 and another program of this machine "
            "listens on it. Stop that program and run the test again.",
            pytrace=False,
        )
    return 8080


def data(reply: httpx.Response) -> Any:
    """What a success carries; the envelope is asserted."""
    body = reply.json()
    assert reply.status_code == 200, body
    assert set(body) == {"code", "message", "data"}
    assert (body["code"], body["message"]) == (200, "success")
    return body["data"]


def problem(reply: httpx.Response, status: int) -> Json:
    """An error's body; its shape is asserted."""
    body: Json = reply.json()
    assert reply.status_code == status, body
    assert set(body) == {"code", "message", "errors"}
    assert body["code"] == status
    assert isinstance(body["message"], str)
    assert body["message"]
    assert all(set(error) == {"field", "message"} for error in body["errors"])
    return body


def is_documented(item: Json) -> bool:
    """Whether an item of the list has the document's fields with its types."""
    assert item["created_at"].endswith("Z")
    datetime.fromisoformat(item["created_at"])
    return set(item) >= ITEM_FIELDS and all(isinstance(item[field], str) for field in ITEM_FIELDS)


def test_the_document_has_one_sample_a_language() -> None:
    assert [sample.language for sample in SAMPLES] == ["python", "javascript", "bash"]


@pytest.mark.node
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.language)
def test_sample_works_word_for_word(
    sample: Sample,
    server: jupyter.JupyterServer,
    empty_engine: Dockerd,
    client: httpx.Client,
    port_of_the_samples: int,
    tmp_path: Path,
) -> None:
    replies = sample.replies(f"127.0.0.1:{server.port}", server.key(), tmp_path)

    assert len(replies) == 2
    # JavaScript sends both at once, so the list may come second and know the container already.
    listed, created = sorted(replies, key=lambda reply: "items" not in reply["data"])
    for reply in (listed, created):
        assert set(reply) == {"code", "message", "data"}
        assert (reply["code"], reply["message"]) == (200, "success")
    known = listed["data"]["items"]
    assert listed["data"]["total"] == len(known)
    assert len(known) <= (1 if sample.language == "javascript" else 0)

    container = created["data"]
    assert is_documented(container)
    assert re.fullmatch(r"[0-9a-f]{64}", container["id"])
    assert container["name"] == "test-container"
    assert container["image"] == "nginx:latest"
    assert container["status"] == "running"
    assert container["ports"] == {"80/tcp": port_of_the_samples}

    state = empty_engine.docker("inspect", "--format", "{{.State.Running}}", container["id"])
    assert state == "true"
    assert empty_engine.docker("ps", "--quiet", "--no-trunc") == container["id"]
    assert page(port_of_the_samples) == PAGE
    again = data(client.get("/containers"))
    assert again["total"] == 1
    assert again["items"][0]["id"] == container["id"]
    assert is_documented(again["items"][0])


def page(port: int) -> str:
    """The page that the container serves, once its program listens."""
    until = time.monotonic() + 10
    while True:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text.strip()
        except httpx.TransportError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_every_documented_container_route(empty_engine: Dockerd, client: httpx.Client) -> None:
    port = scratch.free_port()
    body = {
        "name": "container_name",
        "image": "nginx:latest",
        "ports": {"80/tcp": port},
        "environment": {"KEY": "value"},
    }
    made = data(client.post("/containers", json=body))
    ref = made["id"]
    assert page(port) == PAGE

    detail = data(client.get(f"/containers/{ref}"))
    assert detail["config"]["environment"]["KEY"] == "value"
    for action, status in (
        ("start", "running"),
        ("stop", "exited"),
        ("stop", "exited"),
        ("start", "running"),
    ):
        assert data(client.post(f"/containers/{ref}/{action}"))["status"] == status
    assert data(client.get("/containers", params={"status": "exited"}))["total"] == 0
    assert data(client.get("/containers", params={"status": "running"}))["total"] == 1
    beyond = data(client.get("/containers", params={"limit": 1, "offset": 1}))
    assert (beyond["total"], beyond["items"]) == (1, [])

    usage = data(client.get(f"/metrics/containers/{ref}"))
    assert usage["memory_usage"] > 0
    assert set(usage["network"]) == {"rx_bytes", "tx_bytes"}
    assert set(data(client.delete(f"/containers/{ref}"))) == {"id"}
    problem(client.get(f"/containers/{ref}"), 404)
    assert empty_engine.docker("ps", "--all", "--quiet") == ""


def test_documented_logs(empty_engine: Dockerd, client: httpx.Client) -> None:
    body = {
        "name": "talks",
        "image": "nginx:latest",
        "command": ["sh", "-c", "for n in 1 2 3 4 5; do echo line $n; done; sleep 600"],
    }
    ref = data(client.post("/containers", json=body))["id"]
    address = f"/containers/{ref}/logs"
    scratch.wait_until(lambda: "line 5" in data(client.get(address))["logs"], "the last line")

    assert data(client.get(address, params={"tail": 2}))["logs"] == "line 4\nline 5\n"
    later = {"since": "2100-01-01T00:00:00Z"}
    assert data(client.get(address, params=later))["logs"] == ""
    assert data(client.get(address, params={"until": "2001-01-01T00:00:00Z"}))["logs"] == ""
    assert "line 1" in data(client.get(address, params={"since": "2001-01-01T00:00:00Z"}))["logs"]


@pytest.mark.registry
def test_every_documented_image_route(
    empty_engine: Dockerd, client: httpx.Client, registry: registries.Registry
) -> None:
    name = f"{registry.address}/docs/served"
    # A label makes it another image than nginx:latest, which has the same files.
    images.load_busybox(empty_engine, f"{name}:latest", changes=("LABEL served=here",))
    empty_engine.docker("push", f"{name}:latest")
    empty_engine.docker("rmi", f"{name}:latest")

    pulled = data(client.post("/images/pull", json={"name": name, "tag": "latest"}))
    assert f"{name}:latest" in pulled["tags"]
    assert pulled["size"] > 1_000_000
    listed = data(client.get("/images"))
    assert listed["total"] == len(listed["items"])
    assert any(f"{name}:latest" in image["tags"] for image in listed["items"])

    image = next(item for item in listed["items"] if f"{name}:latest" in item["tags"])
    assert data(client.delete(f"/images/{image['iid']}")) == {"id": image["id"]}
    left = [tag for item in data(client.get("/images"))["items"] for tag in item["tags"]]
    assert f"{name}:latest" not in left


def test_documented_resources(client: httpx.Client) -> None:
    usage = data(client.get("/metrics/resources"))

    assert 0 <= usage["cpu_usage"] <= 100
    assert usage["memory_usage"] > 0
    assert 0 < usage["disk_usage"] <= 100
    assert set(usage["network"]) == {"rx_bytes", "tx_bytes"}


def test_both_documented_headers_carry_a_key(server: jupyter.JupyterServer) -> None:
    for headers in ({"X-API-Key": server.key()}, {"Authorization": f"Bearer {server.key()}"}):
        with server.client(headers=headers) as client:
            assert "items" in data(client.get("/containers"))


def test_documented_errors(server: jupyter.JupyterServer, client: httpx.Client) -> None:
    with server.client(headers={"X-API-Key": "wrong"}) as stranger:
        problem(stranger.get("/containers"), 401)
    with server.client(headers={}) as nobody:
        problem(nobody.get("/containers"), 401)
    problem(client.get("/containers/no-such-container"), 404)
    problem(client.get("/containers/no-such-container/no-such-route"), 404)

    wrong = problem(client.post("/containers", json={"name": "x", "ports": {"80/tcp": "x"}}), 400)
    fields = {error["field"] for error in wrong["errors"]}
    assert "image" in fields
    assert any(field.startswith("ports") for field in fields)
    broken = client.post("/containers", content=b"{", headers={"Content-Type": "application/json"})
    problem(broken, 400)
    nosy = {
        "name": "nosy",
        "image": "nginx:latest",
        "volumes": [{"host_path": "/etc", "container_path": "/x"}],
    }
    problem(client.post("/containers", json=nosy), 403)
