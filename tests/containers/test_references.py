"""Names of containers and images, and the spellings that mean the same."""

from __future__ import annotations

import pytest

from jupyter_ext.containers.references import (
    container_name_problem,
    image_name_problem,
    looks_like_id,
    parse_reference,
    saved_reference,
)

DIGEST = f"sha256:{'a1' * 32}"


@pytest.mark.parametrize("name", ["a", "web", "Web.1_x-y", "0a", "deadbeef", "x" * 63])
def test_good_container_names(name: str) -> None:
    assert container_name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "_a", "a/b", "a b", "a" * 64, "名", "a\n", "12", "0123456789ab", "f" * 12],
)
def test_bad_container_names(name: str) -> None:
    assert container_name_problem(name)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1.27", "nginx:1.27"),
        ("library/nginx", "nginx:latest"),
        ("docker.io/nginx", "nginx:latest"),
        ("docker.io/library/nginx:1", "nginx:1"),
        ("index.docker.io/library/nginx", "nginx:latest"),
        ("someone/tool:2", "someone/tool:2"),
        ("docker.io/someone/tool", "someone/tool:latest"),
        ("127.0.0.1:5000/team/tool", "127.0.0.1:5000/team/tool:latest"),
        ("localhost/tool:x", "localhost/tool:x"),
        ("registry.example.com/a/b/c:T-1", "registry.example.com/a/b/c:T-1"),
        (f"nginx@{DIGEST}", f"nginx@{DIGEST}"),
        (f"docker.io/library/nginx:1@{DIGEST}", f"nginx@{DIGEST}"),
    ],
)
def test_every_spelling_has_one_meaning(text: str, meaning: str) -> None:
    assert str(parse_reference(text)) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":latest",
        "Nginx",
        "nginx:",
        "nginx: x",
        "nginx:-x",
        "a//b",
        "/a",
        "a/",
        "../a",
        "a..b",
        "nginx@sha256:short",
        "nginx@",
        "ngi nx",
        "http://nginx",
        "a" * 300,
        "nginx\n",
    ],
)
def test_bad_image_names(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        "jupyter-ext/alice/tool",
        "docker.io/jupyter-ext/alice/tool:1",
        "registry:5000/jupyter-ext/alice/tool",
        f"jupyter-ext/alice/tool@{DIGEST}",
    ],
)
def test_the_namespace_of_committed_images_is_seen_through_every_spelling(text: str) -> None:
    assert parse_reference(text).private


def test_registries() -> None:
    assert parse_reference("nginx").registry == "docker.io"
    assert parse_reference("a/b").registry == "docker.io"
    assert parse_reference("r:5000/b").registry == "r:5000"
    assert parse_reference("r.example/b").registry == "r.example"


def test_ids() -> None:
    assert looks_like_id(DIGEST)
    assert looks_like_id("deadbeef")
    assert not looks_like_id("abc")
    assert not looks_like_id("nginx")


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("tools", "jupyter-ext/alice/tools:latest"),
        ("tools:2", "jupyter-ext/alice/tools:2"),
        ("my_tools.x-1:V1.0", "jupyter-ext/alice/my_tools.x-1:V1.0"),
    ],
)
def test_names_of_saved_images(name: str, whole: str) -> None:
    assert image_name_problem(name) is None
    assert str(saved_reference("alice", "user-2", name)) == whole


@pytest.mark.parametrize(
    "name", ["", "Tools", "a b", "a/b", ":1", "tools:", "tools:a b", "tools:1:2", "refitted-5"]
)
def test_names_that_no_saved_image_has(name: str) -> None:
    assert image_name_problem(name)
