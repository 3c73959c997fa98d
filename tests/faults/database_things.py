"""One database, backup, snapshot and cluster beside, for requests about them."""

from __future__ import annotations

from typing import Any

import httpx

from ..engines.scratch import wait_until

ALL = "/api/v1/"
KINDS = ("databases", "backups", "restores", "snapshots")


class DatabaseThings:
    """Finds something that is there, or makes it.

    Parameters
    ----------
    client
        An administrator's, of the versioned routes.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def known(self, path: str, new: str) -> str | None:
        """Return what the parameter of a route may be; None where it is about other things."""
        if not path.startswith(tuple(f"{ALL}{kind}/" for kind in KINDS)):
            return None
        # What takes long goes on while its request is answered; nobody deletes what is in use.
        wait_until(lambda: not self._active(), "the end of what goes on")
        if path.startswith(f"{ALL}databases/"):
            return self._database(new)
        if path.startswith(f"{ALL}backups/"):
            return self._backup()
        if path.startswith(f"{ALL}restores/"):
            return self._side()
        return self._snapshot(new)

    def body(self, operation: tuple[str, str], new: str) -> dict[str, Any] | None:
        """Return what a request has to say in order to succeed."""
        bodies: dict[tuple[str, str], dict[str, Any]] = {
            ("POST", f"{ALL}databases"): {"name": new},
            ("POST", f"{ALL}databases/{{name}}/clone"): {"name": new},
            ("POST", f"{ALL}backups"): {},
            ("POST", f"{ALL}backups/{{id}}/restore"): {"mode": "side"},
            ("POST", f"{ALL}snapshots"): {"name": new, "parts": ["databases"]},
            ("POST", f"{ALL}snapshots/{{name}}/restore"): {},
        }
        return bodies.get(operation)

    def tidy(self) -> None:
        """Stop what was restored beside: each is a server that runs."""
        for side in self._all("restores"):
            self.client.delete(f"restores/{side['id']}").raise_for_status()

    def _active(self) -> bool:
        reply = self.client.get("operations", params={"active": True}).raise_for_status()
        kinds = {each["kind"].partition(".")[0] for each in reply.json()["operations"]}
        return bool(kinds & {"database", "backup", "snapshot"})

    def _all(self, kind: str) -> list[dict[str, Any]]:
        reply = self.client.get(kind).raise_for_status()
        found: list[dict[str, Any]] = reply.json()[kind]
        return found

    def _made(self, kind: str, **body: Any) -> dict[str, Any]:
        reply = self.client.post(kind, json=body)
        assert reply.is_success, reply.text
        made: dict[str, Any] = reply.json()
        return made

    def _database(self, new: str) -> str:
        for each in self._all("databases"):
            if each["name"] not in ("postgres", "template1"):
                return str(each["name"])
        return str(self._made("databases", name=new)["name"])

    def _backup(self) -> str:
        self._database("backed_up")
        # The only one is not deleted, and of several nothing depends on the newest.
        while len(self._all("backups")) < 2:
            self._made("backups")
        return str(self._all("backups")[0]["id"])

    def _side(self) -> str:
        if found := self._all("restores"):
            return str(found[0]["id"])
        made = self._made(f"backups/{self._backup()}/restore", mode="side", databases=[])
        return str(made["side"]["id"])

    def _snapshot(self, new: str) -> str:
        if found := self._all("snapshots"):
            return str(found[0]["name"])
        self._database("kept")
        return str(self._made("snapshots", name=new, parts=["databases"])["name"])
