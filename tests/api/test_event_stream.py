"""Server-sent events: what happens now, and what was missed."""

from __future__ import annotations

import json

import httpx
import pytest

from .conftest import user_key


class Stream:
    """Reads server-sent events from a reply."""

    def __init__(self, reply):
        self.lines = reply.iter_lines()

    def next(self):
        fields: dict[str, str] = {}
        for line in self.lines:
            if not line and fields:
                return fields
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        raise EOFError


def test_changes_arrive_with_ids(edge, admin):
    with admin.stream("GET", "events") as reply:
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        stream = Stream(reply)
        admin.post("users", json={"username": "eventful", "password": "secret"})
        event = stream.next()
        assert event["event"] == "users"
        assert json.loads(event["data"])["user"]["username"] == "eventful"
        assert "-" in event["id"]


def test_what_was_missed_comes_first(admin):
    with admin.stream("GET", "events", params={"topics": "users"}) as reply:
        stream = Stream(reply)
        admin.post("users", json={"username": "seen", "password": "secret"})
        last = stream.next()["id"]
    admin.post("users", json={"username": "missed", "password": "secret"})
    for options in (
        {"headers": {"Last-Event-ID": last}},
        {"params": {"topics": "users", "last_event_id": last}},
    ):
        with admin.stream("GET", "events", **options) as reply:
            assert json.loads(Stream(reply).next()["data"])["user"]["username"] == "missed"


@pytest.mark.parametrize("last", ["other-1", "nonsense", "0-99999999999"])
def test_reset_where_the_history_is_over(admin, last):
    with admin.stream("GET", "events", headers={"Last-Event-ID": last}) as reply:
        assert Stream(reply).next()["event"] == "reset"


def test_an_unknown_topic_is_400_with_the_topics_that_there_are(admin):
    reply = admin.get("events", params={"topics": "containers,none"})
    assert reply.status_code == 400
    assert "none" in reply.json()["error"]["details"]["topics"]
    assert "operations" in reply.json()["error"]["details"]["topics"]


def test_somebody_elses_events_are_not_seen(edge, admin):
    last = first_id(admin)
    for name in ("private", "watcher"):
        # Who may hear of users hears of none but themselves, unless they look after all.
        new = {"username": name, "password": "secret", "permissions": ["user:read"]}
        assert admin.post("users", json=new).status_code == 201
    own = {"X-API-Key": user_key(edge, "watcher"), "Last-Event-ID": last}
    with httpx.stream("GET", edge.api + "/events", headers=own, trust_env=False) as reply:
        # The event about oneself is seen, those about others before it are not.
        assert json.loads(Stream(reply).next()["data"])["user"]["username"] == "watcher"


def first_id(admin):
    with admin.stream("GET", "events", params={"topics": "users"}) as reply:
        stream = Stream(reply)
        admin.post("users", json={"username": "first", "password": "secret"})
        return stream.next()["id"]


def test_a_client_that_goes_leaves_nothing(edge, admin):
    """Many streams opened and dropped; the server goes on, and lets go of each."""
    for _ in range(30):
        with admin.stream("GET", "events") as reply:
            assert reply.status_code == 200
    assert admin.get("status").status_code == 200
