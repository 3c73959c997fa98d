"""Devices over the event socket: all at first, and again when one of them changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from ..api.test_web_socket import ask, socket
from ..engines.jupyter import JupyterServer

pytestmark = [pytest.mark.docker]

Device = dict[str, Any]


def until(opened: ClientConnection, fits: Callable[[Device], bool]) -> list[list[Device]]:
    """Return what is told until the machine's own device is so."""
    told: list[list[Device]] = []
    while not told or not fits(told[-1][0]):
        frame = json.loads(opened.recv(timeout=10))
        if frame["type"] == "devices":
            told.append(frame["data"]["devices"])
    return told


def test_watchers_are_told_what_changed_and_nothing_twice(running_server: JupyterServer) -> None:
    with (
        running_server.client() as client,
        socket(running_server, {"X-API-Key": running_server.key()}) as opened,
    ):
        reply = ask(opened, "subscribe", {"topic": "devices"})["data"]
        assert [device["name"] for device in reply["devices"]] == ["local"]
        assert reply["total"] == 1
        client.put("devices/1", json={"name": "desk"}).raise_for_status()
        try:
            told = until(opened, lambda device: device["name"] == "desk")
        finally:
            client.put("devices/desk", json={"name": "local"}).raise_for_status()
        told += until(opened, lambda device: device["name"] == "local")
        assert all(before != after for before, after in zip(told, told[1:], strict=False))


def test_others_are_told_of_no_addresses(running_server: JupyterServer) -> None:
    with running_server.client() as client:
        body = {"username": "watcher", "password": "secret pass"}
        assert client.post("users", json=body).status_code == 201
        headers = {"X-API-Key": running_server.user_key("watcher")}
        try:
            with socket(running_server, headers) as opened:
                [device] = ask(opened, "subscribe", {"topic": "devices"})["data"]["devices"]
                client.put("devices/1", json={"draining": True}).raise_for_status()
                told = until(opened, lambda device: device["state"] == "draining")
                for [each] in ([device], *told):
                    assert (each["address"], each["problem"], each["node"]) == (None,) * 3
        finally:
            client.put("devices/1", json={"draining": False}).raise_for_status()
            client.delete("users/watcher").raise_for_status()
