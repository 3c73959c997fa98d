"""Images that users share with one another, over REST and from a terminal, on a real engine."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from ..engines.dockerd import Dockerd
from .api_users import Json, User

pytestmark = pytest.mark.docker


def mine(user: User, image: Json) -> Json | None:
    """Return what somebody sees of an image."""
    found = [item for item in user("GET", "/images")["items"] if item["id"] == image["id"]]
    return found[0] if found else None


def saved(user: User, name: str, docker_engine: Dockerd, **body: str) -> Json:
    """Save a container with a note in it, and delete the container."""
    made = user.run(f"{name}-work", **body)
    docker_engine.docker("exec", made["id"], "sh", "-c", f"echo {name} > /{name}")
    image: Json = user("POST", f"/containers/{name}-work/commit", json={"name": name})
    user("DELETE", f"/containers/{name}-work?force=true")
    return image


def test_an_image_is_shared_and_taken_back(
    alice: User, bob: User, admin: User, docker_engine: Dockerd
) -> None:
    image = saved(alice, "tools", docker_engine)
    assert image["shared_with"] == []
    where = f"/images/{image['iid']}/shares"
    for method, path in (("GET", where), ("PUT", f"{where}/bob"), ("DELETE", f"{where}/bob")):
        bob(method, path, 404)
    assert alice("PUT", f"{where}/bob")["shared_with"] == ["bob"]
    assert alice("GET", where)["items"][0]["username"] == "bob"
    seen = mine(bob, image)
    assert seen is not None
    assert (seen["owner"], seen["shared_with"]) == ("alice", ["bob"])

    # By its name, number and id it is run; nothing else of it is bob's to do.
    name = image["tags"][0]
    made = bob.run("first", image=name)
    assert docker_engine.docker("exec", made["id"], "cat", "/tools") == "tools"
    bob.run("second", image=image["id"])
    for ref in (image["iid"], quote(name, safe="")):
        assert "alice" in bob("DELETE", f"/images/{ref}?force=true", 403)["message"]
    assert "alice" in bob("PUT", f"{where}/admin", 403)["message"]
    bob("DELETE", f"{where}/bob", 403)

    # What is made on top is who made its own.
    top = saved(bob, "top", docker_engine, image=name)
    assert (top["owner"], top["shared_with"]) == ("bob", [])
    assert mine(alice, top) is None

    assert alice("DELETE", f"{where}/bob")["shared_with"] == []
    assert mine(bob, image) is None
    bob("POST", "/containers", 404, json={"name": "third", "image": name})
    assert bob("GET", "/containers/first")["status"] == "running"
    bob("POST", "/containers/first/stop?timeout=0")
    assert bob("POST", "/containers/first/start")["status"] == "running"
    assert "2 of other users" in alice("DELETE", f"/images/{image['iid']}", 409)["message"]
    for container in ("first", "second"):
        bob("DELETE", f"/containers/{container}?force=true")
    bob("DELETE", f"/images/{top['iid']}")
    alice("DELETE", f"/images/{image['iid']}")


def test_what_can_not_be_shared_names_the_field(alice: User, docker_engine: Dockerd) -> None:
    image = saved(alice, "tools", docker_engine)
    for name in ("nobody", "alice"):
        said = alice("PUT", f"/images/{image['iid']}/shares/{name}", 400)
        assert [error["field"] for error in said["errors"]] == ["username"]
    alice("PUT", "/images/busybox/shares/bob", 403)
    alice("DELETE", f"/images/{image['iid']}/shares/bob", 404)
    alice("DELETE", f"/images/{image['iid']}")


def test_images_that_others_were_made_of(alice: User, docker_engine: Dockerd) -> None:
    below = saved(alice, "below", docker_engine)
    above = saved(alice, "above", docker_engine, image=below["tags"][0])
    # As the engine has it: not by its number, and by its name it leaves its layers to the other.
    said = alice("DELETE", f"/images/{below['iid']}", 409)["message"]
    assert "Other images were made of this one" in said
    alice("DELETE", f"/images/{quote(below['tags'][0], safe='')}")
    assert mine(alice, below) is None
    alice.run("still", image=above["tags"][0])
    ran = docker_engine.docker("exec", "alice.still", "cat", "/below", "/above")
    assert ran.split() == ["below", "above"]
    alice("DELETE", "/containers/still?force=true")
    alice("DELETE", f"/images/{above['iid']}")
    left = docker_engine.docker("images", "--all", "--quiet", "--no-trunc")
    assert below["id"] not in left


def test_the_same_from_a_terminal(admin: User, bob: User, docker_engine: Dockerd) -> None:
    image = saved(admin, "tools", docker_engine)
    server, name = admin.server, image["tags"][0]
    assert "bob" in server.pig("image", "share", name, "bob")
    assert mine(bob, image) is not None
    [row] = [line for line in server.pig("image", "list").splitlines() if name in line]
    assert "bob" in row
    wrong = server.run(server.python, "-m", "jupyter_ext.cli", "image", "share", name, "nobody")
    assert wrong.returncode != 0
    assert "no user goes by 'nobody'" in wrong.stderr
    assert "nobody" in server.pig("image", "unshare", name, "bob")
    assert mine(bob, image) is None
    admin("DELETE", f"/images/{image['iid']}")
