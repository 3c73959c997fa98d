"""What a swarm says of its nodes, read as SwarmKit writes it."""

from __future__ import annotations

import re
from typing import Any

from jupyter_ext.containers.docker_networks import overlay_name
from jupyter_ext.containers.docker_swarm import read_membership, read_node
from jupyter_ext.devices.inventory import same_gpu
from jupyter_ext.devices.nodes import state_of

NAME_OF_A_SWARM = re.compile(r"^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$")


def node(**more: Any) -> dict[str, Any]:
    spec = {"Availability": "active", "Labels": {"jupyter_ext.engine": "tcp://a:2376"}}
    return {"ID": "n1", "Spec": spec, "Status": {"State": "ready"}, **more}


def test_gpus_have_uuids_or_are_only_counted() -> None:
    resources = {
        "NanoCPUs": 2_500_000_000,
        "MemoryBytes": 1 << 30,
        "GenericResources": [
            {"NamedResourceSpec": {"Kind": "NVIDIA-GPU", "Value": "GPU-45cbf7b3"}},
            {"NamedResourceSpec": {"Kind": "gpu", "Value": "MIG-0a"}},
            {"NamedResourceSpec": {"Kind": "gpu", "Value": "0"}},
            {"NamedResourceSpec": {"Kind": "disk", "Value": "GPU-no"}},
            {"DiscreteResourceSpec": {"Kind": "NVIDIA-GPU", "Value": 2}},
            {"DiscreteResourceSpec": {"Kind": "SSD", "Value": 7}},
        ],
    }
    read = read_node(node(Description={"Hostname": "gpu1", "Resources": resources}))
    assert read.gpus == {"GPU-45cbf7b3": "NVIDIA-GPU", "MIG-0a": "gpu"}
    assert read.counted_gpus == 3
    assert (read.cpus, read.memory, read.hostname) == (2500, 1 << 30, "gpu1")


def test_what_a_node_leaves_out_is_nothing() -> None:
    read = read_node({"ID": "n1"})
    assert (read.hostname, read.state, dict(read.gpus)) == ("", "unknown", {})
    assert read_membership({}).state == "inactive"
    assert read_membership({"Swarm": None}).node == ""


def test_a_node_that_is_down_is_down_whatever_its_operator_wants() -> None:
    spec = {"Availability": "drain"}
    assert state_of(read_node(node(Spec=spec))) == "drain"
    assert state_of(read_node(node(Spec=spec, Status={"State": "down"}))) == "down"
    assert state_of(read_node(node())) == "ready"


def test_a_gpu_may_be_named_by_its_beginning() -> None:
    uuid = "GPU-45cbf7b3-f919-7228-7a26-b06628ebefa1"
    assert same_gpu(uuid, uuid)
    assert same_gpu("GPU-45cbf7b", uuid)
    assert not same_gpu("GPU-45", uuid)
    assert not same_gpu("GPU-45cbf7c", uuid)


def test_networks_of_users_who_look_alike_are_two() -> None:
    names = [overlay_name(f"jupyter_ext-{user}") for user in ("a.b", "a_b", "a-b", "x" * 200, "é")]
    assert len(set(names)) == 5
    assert all(NAME_OF_A_SWARM.fullmatch(name) and len(name) <= 63 for name in names)
