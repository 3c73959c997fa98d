"""Every documented line of the document `matrix`, with a cookie jar, from the state it presumes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..engines import gpus, images, jupyter
from ..engines.dockerd import Dockerd
from ..engines.gpus import Card, Cards
from ..engines.jupyter import JupyterServer
from ..engines.scratch import wait_until

pytestmark = [pytest.mark.docker]

SMALL, LARGE = "GPU-0000-small", "GPU-0001-large"
NOBODY = 999_999
NO_CONTAINER = "no container or not authorized to visit"
NO_IMAGE = "no image or not authorized to visit image"
NOT_ENOUGH = "cpu or memory not enough"
BODY = {"cpu": 1, "mem": 64, "gid": None}
# A shell without input ends at once; `top` goes on, without a terminal, too.
IMAGE = "stays:latest"


class Jar:
    """A client that keeps cookies and knows nothing else."""

    def __init__(self, server: JupyterServer, username: str) -> None:
        self.http = httpx.Client(base_url=server.url, trust_env=False, timeout=60)
        who = {"username": username, "password": "114514-114514", "email": f"{username}@x.org"}
        reply = self.http.post("api/register", json=who)
        assert reply.status_code == 200, reply.text

    def close(self) -> None:
        self.http.close()

    def __call__(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        reply = self.http.request(method, path, json=body)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def done(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        found = self(method, path, body)
        assert found.pop("status") == 0, found
        return found

    def refused(self, method: str, path: str, body: Any = None) -> str:
        found = self(method, path, body)
        assert found.keys() == {"status", "error"}
        assert found["status"] == -1
        return str(found["error"])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    with Dockerd(programs=gpus.hook_folder(tmp_path_factory.mktemp("toolkit"))) as running:
        images.load_busybox(running)
        name = running.docker("create", "busybox:latest")
        running.docker("commit", "--change", 'CMD ["sleep", "3600"]', name.strip(), IMAGE)
        running.docker("rm", name.strip())
        yield running


@pytest.fixture(scope="module")
def server(engine: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    small = Card(SMALL, "NVIDIA L4", 24 * gpus.GIB)
    cards = Cards(tmp_path_factory.mktemp("nvml"), [small, Card(LARGE)])
    limits = {"matrix": {"amount": 0}, "containers": {"amount": 0}, "piglet": {"amount": 0}}
    config: dict[str, dict[str, Any]] = {
        "JupyterExt": {"rate_limits": limits, "registration": "open"},
        # What is saved of something saved is one layer again.
        "ContainerDefaults": {"max_image_layers": 2},
    }
    with jupyter.jupyter_server(
        docker_host=engine.url, environ=cards.environ, config=config
    ) as running:
        with running.client() as client:
            wait_until(lambda: len(client.get("gpus").json()["gpus"]) == 2, "the GPUs")
        yield running


@pytest.fixture
def admin(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def alice(server: JupyterServer) -> Iterator[Jar]:
    with closing(Jar(server, "alice")) as jar:
        yield jar


@pytest.fixture(scope="module")
def bob(server: JupyterServer) -> Iterator[Jar]:
    with closing(Jar(server, "bob")) as jar:
        yield jar


@pytest.fixture(autouse=True)
def clean(engine: Dockerd, admin: httpx.Client) -> Iterator[None]:
    yield
    engine.clean()
    wait_until(
        lambda: not any(gpu["holders"] for gpu in admin.get("gpus").json()["gpus"]), "the GPUs free"
    )


@pytest.fixture
def iid(alice: Jar) -> int:
    named = {
        alice.done("GET", f"images/property/{number}")["name"]: number
        for number in alice.done("GET", "images/public")["iid"]
    }
    return int(named[IMAGE])


def make(jar: Jar, iid: int, name: str = "test3", **more: Any) -> dict[str, Any]:
    return jar.done("POST", "containers", {"iid": iid, "name": name, **BODY, **more})


def inspect(engine: Dockerd, name: str) -> dict[str, Any]:
    [found] = json.loads(engine.docker("inspect", name))
    return dict(found)


def layers(engine: Dockerd, image: str) -> int:
    [found] = json.loads(engine.docker("image", "inspect", image))
    return len(found["RootFS"]["Layers"])


def test_without_cookies_nothing_is_told(server: JupyterServer) -> None:
    for method, path in (("GET", "containers"), ("GET", "devices"), ("GET", "images")):
        reply = httpx.request(method, f"{server.url}{path}", trust_env=False)
        assert reply.status_code == 401
        assert reply.json()["status"] == -1


@pytest.mark.parametrize("path", ["containers", "containers/create"])
def test_a_container_has_ports_and_a_password(
    engine: Dockerd, alice: Jar, iid: int, path: str
) -> None:
    made = alice.done("POST", path, {"iid": iid, "name": "test3", **BODY})
    assert made.keys() == {"passwd", "portssh", "portjupyter", "porttsb", "cid"}
    assert re.fullmatch("[A-Za-z0-9]{16}", made["passwd"])

    found = inspect(engine, "alice.test3")
    bound = {
        port: [(place["HostIp"], int(place["HostPort"])) for place in places]
        for port, places in found["NetworkSettings"]["Ports"].items()
        if places
    }
    assert bound == {
        "22/tcp": [("127.0.0.1", made["portssh"])],
        "8888/tcp": [("127.0.0.1", made["portjupyter"])],
        "6006/tcp": [("127.0.0.1", made["porttsb"])],
    }
    assert f"JUPYTER_EXT_PASSWORD={made['passwd']}" in found["Config"]["Env"]
    assert found["HostConfig"]["NanoCpus"] == 1_000_000_000
    assert found["HostConfig"]["Memory"] == 64 << 20
    assert alice.done("GET", "containers") == {"cid": [made["cid"]]}
    assert alice.done("GET", f"containers/status/{made['cid']}") == {"result": "running"}
    facts = alice.done("GET", f"containers/property/{made['cid']}")
    assert facts.pop("cpu_name")
    assert facts == {
        "name": "test3",
        "cpu": 1,
        "memory": 64,
        **{key: made[key] for key in ("portssh", "portjupyter", "porttsb", "passwd")},
        "ip": "127.0.0.1",
        "gpu_type": "无GPU",
    }


def test_the_password_lies_encrypted_in_the_store(
    server: JupyterServer, alice: Jar, iid: int
) -> None:
    made = make(alice, iid)
    kept = b"".join(file.read_bytes() for file in Path(server.home).glob("store.db*"))
    assert b"test3" in kept
    assert made["passwd"].encode() not in kept


def test_stop_start_delete(alice: Jar, engine: Dockerd, iid: int) -> None:
    cid = make(alice, iid)["cid"]
    one = f"containers/{cid}"
    facts = alice.done("GET", f"containers/property/{cid}")

    assert alice.refused("PUT", one, {"cmd": "start"}) == "container already running"
    assert alice.done("PUT", one, {"cmd": "stop"}) == {}
    assert alice.done("GET", f"containers/status/{cid}") == {"result": "stopped"}
    assert alice.refused("PUT", one, {"cmd": "stop"}) == "container already stopped"
    assert alice.done("GET", f"containers/property/{cid}") == facts
    assert alice.done("PUT", one, {"cmd": "start"}) == {}
    assert inspect(engine, "alice.test3")["State"]["Running"]
    assert alice.done("DELETE", one) == {}
    assert alice.done("GET", "containers") == {"cid": []}
    assert engine.docker("ps", "--all", "--quiet") == ""


def test_somebody_elses_container_is_none(alice: Jar, bob: Jar, iid: int) -> None:
    cid = make(alice, iid)["cid"]
    for number in (cid, NOBODY, "test3"):
        assert bob.refused("GET", f"containers/status/{number}") == NO_CONTAINER
        assert bob.refused("GET", f"containers/property/{number}") == NO_CONTAINER
        assert bob.refused("PUT", f"containers/{number}", {"cmd": "start"}) == NO_CONTAINER
        assert bob.refused("PUT", f"containers/{number}", {"cmd": "stop"}) == NO_CONTAINER
        assert bob.refused("DELETE", f"containers/{number}") == NO_CONTAINER
    assert bob.done("GET", "containers") == {"cid": []}


def test_who_may_run_no_commands_sees_no_password(
    server: JupyterServer, alice: Jar, iid: int
) -> None:
    cid = make(alice, iid)["cid"]
    body = {"name": "reader", "scopes": ["container:read", "container:start"]}
    key = alice.http.post("api/v1/api-keys", json=body).json()["key"]
    with httpx.Client(base_url=server.url, headers={"X-API-Key": key}, trust_env=False) as reader:
        assert reader.get(f"containers/property/{cid}").json()["passwd"] is None
        refused = reader.put(f"containers/{cid}", json={"cmd": "stop"}).json()
    assert refused["status"] == -1
    assert "container:stop" in refused["error"]


def test_gpus(engine: Dockerd, alice: Jar, bob: Jar, iid: int) -> None:
    cid = make(alice, iid, gid=1)["cid"]
    [request] = inspect(engine, "alice.test3")["HostConfig"]["DeviceRequests"]
    assert request["DeviceIDs"] == [SMALL]
    assert alice.done("GET", f"containers/property/{cid}")["gpu_type"] == "NVIDIA L4"
    new = {"iid": iid, "name": "other", **BODY}
    assert bob.refused("POST", "containers", new | {"gid": 1}) == "gpu 1 not available"
    assert bob.refused("POST", "containers", new | {"gid": [1, 2]}) == "gpu 1 not available"
    assert bob.refused("POST", "containers", new | {"gid": 77}) == "gpu 77 not available"

    alice.done("PUT", f"containers/{cid}", {"cmd": "stop"})
    other = make(bob, iid, "other", gid=1)["cid"]
    start = {"cmd": "start"}
    assert alice.refused("PUT", f"containers/{cid}", start) == "gpu 1 not available"
    bob.done("DELETE", f"containers/{other}")
    alice.done("PUT", f"containers/{cid}", start)
    auto = make(bob, iid, "other", gid="auto")["cid"]
    assert bob.done("GET", f"containers/property/{auto}")["gpu_type"] != "NVIDIA L4"
    alice.done("DELETE", f"containers/{cid}")
    bob.done("DELETE", f"containers/{auto}")


def test_what_a_new_container_is_refused_for(alice: Jar, iid: int) -> None:
    new = {"iid": iid, "name": "test3", **BODY}
    assert alice.refused("POST", "containers", new | {"iid": NOBODY}) == NO_IMAGE
    # The notebook image has its number before it is built.
    assert alice.refused("POST", "containers", new | {"iid": 1}) == NO_IMAGE
    assert alice.refused("POST", "containers", new | {"cpu": 4096}) == NOT_ENOUGH
    assert alice.refused("POST", "containers", new | {"mem": 1 << 29}) == NOT_ENOUGH
    make(alice, iid)
    assert alice.refused("POST", "containers", new) == "docker run failed"


def test_a_device_that_is_full(alice: Jar, bob: Jar, iid: int) -> None:
    total = alice.done("GET", "devices/property/1")["total_cpu"]
    cid = make(alice, iid, cpu=total)["cid"]
    new = {"iid": iid, "name": "test4", **BODY}
    assert bob.refused("POST", "containers", new) == NOT_ENOUGH
    alice.done("PUT", f"containers/{cid}", {"cmd": "stop"})
    other = make(bob, iid, "test4")["cid"]
    assert alice.refused("PUT", f"containers/{cid}", {"cmd": "start"}) == NOT_ENOUGH
    bob.done("DELETE", f"containers/{other}")
    alice.done("PUT", f"containers/{cid}", {"cmd": "start"})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"iid": "one"}, "iid"),
        ({"name": "no/slash"}, "name"),
        ({"cpu": -1}, "cpu"),
        ({"mem": None}, "mem"),
        ({"gid": "best"}, "gid"),
    ],
)
def test_a_malformed_body_names_its_field(
    alice: Jar, iid: int, change: dict[str, Any], field: str
) -> None:
    reply = alice.http.post("containers", json={"iid": iid, "name": "test3", **BODY} | change)
    assert reply.status_code == 400
    assert reply.json()["status"] == -1
    assert field in reply.json()["error"]


def test_devices(alice: Jar, iid: int) -> None:
    assert alice.done("GET", "devices") == {"cid": [1], "did": [1]}
    before = alice.done("GET", "devices/property/1")
    assert before["used_cpu"] == before["used_memory"] == 0
    assert before["gpu_used"] == []
    assert before["gpus"][0] == {"gid": 1, "gpu_type": "NVIDIA L4"}
    assert before["cpu_name"]
    assert before["ip"] == "127.0.0.1"
    make(alice, iid, gid=1)
    after = alice.done("GET", "devices/property/1")
    assert after == before | {"used_cpu": 1, "used_memory": 64, "gpu_used": [[1]]}
    assert "device" in alice.refused("GET", "devices/property/2")


def test_images(alice: Jar, bob: Jar, admin: httpx.Client, engine: Dockerd, iid: int) -> None:
    assert alice.done("GET", "images") == {"iid": []}
    facts = alice.done("GET", f"images/property/{iid}")
    size = int(engine.docker("image", "inspect", "--format={{.Size}}", IMAGE))
    assert facts == {"did": 1, "name": IMAGE, "public": True, "user": "public", "size": size}
    assert iid in alice.done("GET", "images/on/1")["iid"]
    assert alice.refused("GET", f"images/property/{NOBODY}") == NO_IMAGE


@pytest.mark.parametrize("path", ["images", "images/create"])
def test_a_container_is_saved_as_an_image(
    engine: Dockerd, alice: Jar, bob: Jar, iid: int, path: str
) -> None:
    made = make(alice, iid)
    engine.docker("exec", "alice.test3", "sh", "-c", "echo installed > /tool")
    body = {"cid": made["cid"], "name": "my_image"}
    assert bob.refused("POST", path, body) == NO_CONTAINER
    assert alice.refused("POST", path, body | {"cid": NOBODY}) == NO_CONTAINER

    saved = alice.done("POST", path, body)["iid"]
    assert alice.done("GET", "images") == {"iid": [saved]}
    assert saved not in alice.done("GET", "images/public")["iid"]
    facts = alice.done("GET", f"images/property/{saved}")
    name = "jupyter-ext/alice/my_image:latest"
    assert {key: facts[key] for key in ("did", "name", "public", "user")} == {
        "did": 1,
        "name": name,
        "public": False,
        "user": "alice",
    }
    [image] = json.loads(engine.docker("image", "inspect", name))
    for each in engine.docker("image", "history", "--no-trunc", name).splitlines():
        assert made["passwd"] not in each
    where = [key for key, value in image.items() if made["passwd"] in json.dumps(value)]
    assert where == []
    assert "my_image" in alice.refused("POST", path, body)

    assert bob.refused("GET", f"images/property/{saved}") == NO_IMAGE
    new = {"iid": saved, "name": "again", **BODY, "cpu": 0.5}
    assert bob.refused("POST", "containers", new) == NO_IMAGE
    again = alice.done("POST", "containers", new)
    assert engine.docker("exec", "alice.again", "cat", "/tool").strip() == "installed"
    assert again["passwd"] != made["passwd"]
    used = "some containers is based on the image, unable to remove image"
    assert alice.refused("DELETE", f"images/{saved}") == used
    alice.done("DELETE", f"containers/{again['cid']}")
    alice.done("DELETE", f"images/{saved}")
    assert alice.done("GET", "images") == {"iid": []}


def test_an_image_for_everybody(engine: Dockerd, alice: Jar, bob: Jar, iid: int) -> None:
    cid = make(alice, iid, cpu=0.5)["cid"]
    body = {"cid": cid, "name": "shared", "public": True}
    saved = alice.done("POST", "images", body)["iid"]
    assert saved in bob.done("GET", "images/public")["iid"]
    assert bob.done("GET", f"images/property/{saved}")["user"] == "alice"
    mine = make(bob, saved, "mine", cpu=0.5)["cid"]
    assert bob.refused("DELETE", f"images/{saved}") == "no image or not authorized to remove"
    # Somebody else's container counts, also one that stands still.
    used = "some containers is based on the image, unable to remove image"
    assert alice.refused("DELETE", f"images/{saved}") == used
    bob.done("PUT", f"containers/{mine}", {"cmd": "stop"})
    assert alice.refused("POST", f"images/delete/{saved}") == used
    bob.done("DELETE", f"containers/{mine}")
    engine.clean()
    alice.done("DELETE", f"images/{saved}")


def test_an_image_that_is_shared(engine: Dockerd, alice: Jar, bob: Jar, iid: int) -> None:
    cid = make(alice, iid, cpu=0.5)["cid"]
    saved = alice.done("POST", "images", {"cid": cid, "name": "ours"})["iid"]
    assert saved not in bob.done("GET", "images/on/1")["iid"]
    shared = alice.http.put(f"api/v1/images/{saved}/shares/bob")
    assert shared.status_code == 200, shared.text
    # What is one's own is what one made; what can run is more.
    assert bob.done("GET", "images") == {"iid": []}
    assert saved not in bob.done("GET", "images/public")["iid"]
    assert saved in bob.done("GET", "images/on/1")["iid"]
    facts = bob.done("GET", f"images/property/{saved}")
    assert (facts["user"], facts["public"]) == ("alice", False)
    mine = make(bob, saved, "mine", cpu=0.5)["cid"]
    assert bob.refused("DELETE", f"images/{saved}") == "no image or not authorized to remove"
    # What bob makes of it is bob's.
    top = bob.done("POST", "images", {"cid": mine, "name": "top"})["iid"]
    assert bob.done("GET", "images") == {"iid": [top]}
    alice.http.delete(f"api/v1/images/{saved}/shares/bob")
    assert bob.refused("GET", f"images/property/{saved}") == NO_IMAGE
    assert saved not in bob.done("GET", "images/on/1")["iid"]
    assert bob.done("GET", f"containers/status/{mine}") == {"result": "running"}
    bob.done("DELETE", f"containers/{mine}")
    bob.done("DELETE", f"images/{top}")
    alice.done("DELETE", f"images/{saved}")


@pytest.mark.parametrize(("method", "path"), [("DELETE", "images"), ("POST", "images/delete")])
def test_an_image_is_removed_by_who_may(
    alice: Jar, server: JupyterServer, engine: Dockerd, iid: int, method: str, path: str
) -> None:
    engine.docker("run", "--name", "writes", "busybox:latest", "touch", f"/{method}")
    engine.docker("commit", "writes", "gone:latest")
    engine.docker("rm", "writes")
    with httpx.Client(
        base_url=server.url, headers={"X-API-Key": server.key()}, trust_env=False, timeout=60
    ) as admin:

        def number() -> int:
            for found in admin.get("images/public").json()["iid"]:
                if admin.get(f"images/property/{found}").json()["name"] == "gone:latest":
                    return int(found)
            return 0

        wait_until(lambda: number() > 0, "the image")
        gone = number()
        removing = f"{path}/{gone}"
        not_mine = "no image or not authorized to remove"
        assert alice.refused(method, removing) == not_mine
        assert alice.refused(method, f"{path}/{NOBODY}") == not_mine
        cid = make(alice, gone, cpu=0.5)["cid"]
        used = "some containers is based on the image, unable to remove image"
        assert admin.request(method, removing).json() == {"status": -1, "error": used}
        alice.done("DELETE", f"containers/{cid}")
        assert admin.request(method, removing).json() == {"status": 0}
        assert engine.docker("images", "--quiet", "gone:latest") == ""


def test_a_start_with_another_gpu_keeps_all_but_the_gpu(
    engine: Dockerd, alice: Jar, bob: Jar, admin: httpx.Client, iid: int
) -> None:
    small, large = (
        next(gpu["gid"] for gpu in admin.get("gpus").json()["gpus"] if gpu["uuid"] == uuid)
        for uuid in (SMALL, LARGE)
    )
    made = make(alice, iid, gid=small)
    cid, path = made["cid"], f"containers/{made['cid']}"
    before = inspect(engine, "alice.test3")
    engine.docker("exec", "alice.test3", "sh", "-c", "echo kept > /note")
    alice.done("PUT", path, {"cmd": "stop"})
    alice.done("PUT", path, {"cmd": "start", "gid": large})
    now = inspect(engine, "alice.test3")
    assert now["Id"] != before["Id"]
    assert [r["DeviceIDs"] for r in now["HostConfig"]["DeviceRequests"]] == [[LARGE]]
    assert f"NVIDIA_VISIBLE_DEVICES={LARGE}" in now["Config"]["Env"]
    assert now["HostConfig"]["PortBindings"] == before["HostConfig"]["PortBindings"]
    assert now["HostConfig"]["Memory"] == before["HostConfig"]["Memory"]
    assert engine.docker("exec", "alice.test3", "cat", "/note") == "kept"
    facts = alice.done("GET", f"containers/property/{cid}")
    assert facts["passwd"] == made["passwd"]
    assert {facts[key] for key in ("portssh", "portjupyter", "porttsb")} == {
        made[key] for key in ("portssh", "portjupyter", "porttsb")
    }
    assert facts["gpu_type"] == "NVIDIA A100-SXM4-80GB"
    assert alice("GET", "containers")["cid"] == [cid]
    assert len(engine.docker("ps", "--all", "--quiet").split()) == 1
    assert alice.refused("PUT", path, {"cmd": "start", "gid": small}) == "container already running"
    # The other one is free again, and what somebody has is not given.
    alice.done("PUT", path, {"cmd": "stop"})
    taken = make(bob, iid, name="bobs", gid=small)
    refused = alice.refused("PUT", path, {"cmd": "start", "gid": small})
    assert refused == f"gpu {small} not available"
    assert inspect(engine, "alice.test3")["Id"] == now["Id"]
    # Without a number it has what it had; with 0 it has none.
    alice.done("PUT", path, {"cmd": "start"})
    assert inspect(engine, "alice.test3")["Id"] == now["Id"]
    alice.done("PUT", path, {"cmd": "stop"})
    alice.done("PUT", path, {"cmd": "start", "gid": 0})
    bare = inspect(engine, "alice.test3")
    # The second time all that was saved became one layer.
    assert layers(engine, now["Image"]) == 2
    assert layers(engine, bare["Image"]) == 1
    assert not bare["HostConfig"]["DeviceRequests"]
    assert "NVIDIA_VISIBLE_DEVICES=void" in bare["Config"]["Env"]
    assert engine.docker("exec", "alice.test3", "cat", "/note") == "kept"
    holders = {gpu["gid"]: gpu["holders"] for gpu in admin.get("gpus").json()["gpus"]}
    assert holders[large] == []
    assert [holder["cid"] for holder in holders[small]] == [taken["cid"]]
    # What it was made again of is seen by nobody, and goes with it.
    assert alice.done("GET", "images") == {"iid": []}
    saved = alice.done("POST", "images", {"cid": cid, "name": "kept"})["iid"]
    assert alice.done("GET", "images") == {"iid": [saved]}
    alice.done("DELETE", path)
    alice.done("DELETE", f"images/{saved}")
    assert "refitted" not in engine.docker("images", "--format", "{{.Repository}}")


# -- word for word ---------------------------------------------------------------------------------

DOCUMENT = (Path(__file__).parent / "seeds" / "004.txt").read_text(encoding="utf-8")


def curl(server: JupyterServer, folder: Path, command: str) -> dict[str, Any]:
    """Run a command of the document, with another host, and return what it prints."""
    command = command.replace("http://127.0.0.1:5000/", server.url)
    run = ["sh", "-c", f"{command} --silent --show-error --noproxy '*'"]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_commands_of_the_document(
    server: JupyterServer, engine: Dockerd, alice: Jar, iid: int, tmp_path: Path
) -> None:
    """Each as it is written there, but for the host and the numbers."""
    create, start, stop, save = re.findall(
        r"^curl (?:.*\\\n)+.*cookies\.txt$", DOCUMENT, re.MULTILINE
    )
    login = "curl -X POST http://127.0.0.1:5000/api/login -H 'Content-Type: application/json' -d "
    who = {"username": "alice", "password": "114514-114514"}
    curl(server, tmp_path, f"{login}'{json.dumps(who)}' -c cookies.txt")

    made = curl(server, tmp_path, create.replace('"iid": 1', f'"iid": {iid}'))
    shown = re.search(r'\{\s*"status": 0, // .*?\}', DOCUMENT, re.DOTALL)
    assert shown is not None
    documented = set(re.findall(r'"(\w+)":', shown[0]))
    assert made.keys() == documented | {"cid"}
    assert made["status"] == 0
    assert re.fullmatch("[A-Za-z0-9]{16}", made["passwd"])
    cid = made["cid"]

    start, stop = (text.replace("containers/1", f"containers/{cid}") for text in (start, stop))
    for command, refusal in (
        (stop, "container already stopped"),
        (start, "container already running"),
    ):
        assert curl(server, tmp_path, command) == {"status": 0}
        assert curl(server, tmp_path, command) == {"status": -1, "error": refusal}
    described = alice.done("GET", f"containers/property/{cid}")
    sample = re.search(r'\{\s*"status": 0,\s*"name": "test3".*?\}', DOCUMENT, re.DOTALL)
    assert sample is not None
    assert described.keys() | {"status"} == json.loads(sample[0]).keys()
    assert (described["cpu"], described["memory"], described["gpu_type"]) == (2, 2048, "NVIDIA L4")

    saved = curl(server, tmp_path, save.replace('"cid": 1', f'"cid": {cid}'))
    assert saved.keys() == {"status", "iid"}
    assert saved["status"] == 0
    assert saved["iid"] in alice.done("GET", "images")["iid"]
    alice.done("DELETE", f"containers/{cid}")
    assert alice.done("DELETE", f"images/{saved['iid']}") == {}


def test_every_error_text_of_the_document_is_asked_for_here() -> None:
    """A text that the document has, and no test of this file expects, would be missed."""
    documented = set(re.findall(r"^- ['\"](.+?)['’\"]$", DOCUMENT, re.MULTILINE))
    assert len(documented) == 9
    asserted = Path(__file__).read_text(encoding="utf-8")
    for text in documented:
        assert text.partition("{gid}")[0] in asserted, text
