"""Whoever guesses names and passwords learns nothing, keeps nobody waiting, locks nobody out."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import httpx
import pytest

from ..api.conftest import UNLIMITED
from ..engines import jupyter
from .attacker import GIVEN_UP, address

pytestmark = pytest.mark.slow

PASSWORD = "correct horse"
ADMIN = {"username": "admin", "password": PASSWORD}
ALICE = {"username": "alice", "password": "wonderland"}
LOGIN = "api/v1/auth/login"

TRIES = 1_000
RIGHT_AT_MOST = 0.55
"""Of guesses who exists; a coin has a half."""

ADDRESSES = 1_000
EACH = 20
SLOWER_AT_MOST = 2.0
SAMPLES = 31

Try = tuple[bool, float]
"""Whether the name exists, and the seconds of the reply."""


class Visitor:
    """Somebody at an address of their own, with a connection that is kept."""

    def __init__(self, server: jupyter.JupyterServer, source: str = "127.0.0.1") -> None:
        self.path = httpx.URL(server.url).raw_path.decode() + LOGIN
        self.connection = HTTPConnection(
            "127.0.0.1", server.port, timeout=120, source_address=(source, 0)
        )
        self.connection.connect()

    def log_in(self, body: dict[str, str]) -> tuple[int, float]:
        """Return the reply's status, and the seconds that it took."""
        data = json.dumps(body)
        began = time.perf_counter()
        self.connection.request("POST", self.path, data)
        reply = self.connection.getresponse()
        reply.read()
        return reply.status, time.perf_counter() - began

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def server() -> Iterator[jupyter.JupyterServer]:
    """A server with the documented limit of logins."""
    config = {"JupyterExt": {"rate_limits": UNLIMITED, "admin_password": PASSWORD}}
    with jupyter.jupyter_server(config=config) as running:
        yield running


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(server: jupyter.JupyterServer) -> Iterator[Visit]:
    """Come from an address, and go when the test ends: ``visit("127.0.0.2")``."""
    with ExitStack() as stack:

        def come(source: str = "127.0.0.1") -> Visitor:
            visitor = Visitor(server, source)
            stack.callback(visitor.close)
            return visitor

        yield come


# -- who exists ----------------------------------------------------------------------------------


def threshold(tries: Sequence[Try]) -> tuple[float, bool]:
    """Return what parts the tries best: a number of seconds, and who takes longer than it."""
    ordered = sorted(tries, key=lambda each: each[1])
    existing = sum(exists for exists, _ in ordered)
    best, found = -1, (0.0, True)
    below = 0
    for place, (exists, seconds) in enumerate(ordered, 1):
        below += exists
        # Right where those that exist are the slower ones, and where they are the faster ones.
        slower = (place - below) + (existing - below)
        for right, is_slower in ((slower, True), (len(ordered) - slower, False)):
            if right > best:
                best, found = right, (seconds, is_slower)
    return found


def right(tries: Sequence[Try], learnt: tuple[float, bool]) -> int:
    """Return how many tries a threshold guesses right."""
    seconds, is_slower = learnt
    return sum(exists == ((took > seconds) == is_slower) for exists, took in tries)


def test_the_learner_sees_a_millisecond() -> None:
    chance = random.Random(1)
    told = [(exists, chance.gauss(0.06, 0.001) + exists * 0.001) for exists in (True, False) * 500]
    chance.shuffle(told)
    assert right(told[500:], threshold(told[:500])) > 0.62 * 500
    silent = [(exists, chance.gauss(0.06, 0.001)) for exists in (True, False) * 500]
    chance.shuffle(silent)
    assert right(silent[500:], threshold(silent[:500])) < 0.58 * 500


@pytest.mark.timeout(900)
def test_the_time_of_a_refusal_does_not_tell_who_exists(
    server: jupyter.JupyterServer, record_property: Callable[[str, object], None]
) -> None:
    """Each try is another name from another address, so that no limit is met."""
    people = 40
    names = {True: [f"some{number:04}" for number in range(people)], False: []}
    names[False] = [f"none{number:04}" for number in range(people)]
    with server.client() as admin:
        for name in names[True]:
            body = {"username": name, "password": "secret pass"}
            admin.post("users", json=body).raise_for_status()
    chance = random.Random(0)
    order = [True, False] * (TRIES // 2)
    tries: list[Try] = []
    for number in range(-20, TRIES):
        pair = number - number % 2
        if number >= 0 and number == pair:
            # Which of a pair comes first is left to chance; both see the same moods of the machine.
            order[pair : pair + 2] = chance.sample([True, False], 2)
        exists = order[number]
        visitor = Visitor(server, address(number + 20))
        name = chance.choice(names[exists])
        status, seconds = visitor.log_in({"username": name, "password": "wrong one"})
        visitor.close()
        assert status == 401
        if number >= 0:
            tries.append((exists, seconds))
    halves = tries[: TRIES // 2], tries[TRIES // 2 :]
    guessed = right(halves[1], threshold(halves[0])) + right(halves[0], threshold(halves[1]))
    middles = [median(took for exists, took in tries if exists is side) for side in (True, False)]
    said = (
        f"{guessed / TRIES:.1%} guessed right; medians {1000 * middles[0]:.2f} ms of names that "
        f"exist, {1000 * middles[1]:.2f} ms of others"
    )
    print(said)
    record_property("enumeration", said)
    assert guessed <= RIGHT_AT_MOST * TRIES, said


# -- many guesses --------------------------------------------------------------------------------


def hashing_seconds(pid: int) -> float:
    """Return the processor's seconds of the threads that hash what strangers send."""
    ticks = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        if int(fields[16]) == 10:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.timeout(1200)
def test_a_thousand_guessing_addresses_bother_nobody_and_lock_nobody_out(
    server: jupyter.JupyterServer, visit: Visit, record_property: Callable[[str, object], None]
) -> None:
    with server.client() as admin:
        admin.post("users", json=ALICE).raise_for_status()
    alice = visit()
    for body in (ALICE, ADMIN):
        assert alice.log_in(body)[0] == 200
    idle = [alice.log_in(ALICE) for _ in range(SAMPLES)]
    assert {status for status, _ in idle} == {200}
    one = visit("127.99.0.1")
    before = hashing_seconds(server.process.pid)
    for number in range(10):
        assert one.log_in({"username": f"x{number}", "password": "wrong one"})[0] == 401
    one_hash = (hashing_seconds(server.process.pid) - before) / 10
    before = hashing_seconds(server.process.pid)

    path = httpx.URL(server.url).raw_path.decode() + LOGIN
    program = str(Path(__file__).with_name("attacker.py"))
    attacker = subprocess.Popen(
        [sys.executable, program, str(server.port), path, str(ADDRESSES), str(EACH)],
        stdout=subprocess.PIPE,
        text=True,
    )
    busy: list[tuple[int, float]] = []
    administrators: list[int] = []
    try:
        time.sleep(3)
        while attacker.poll() is None:
            busy.append(alice.log_in(ALICE))
            if len(busy) % 5 == 0:
                administrators.append(alice.log_in(ADMIN)[0])
            time.sleep(0.3)
        printed, _ = attacker.communicate(timeout=60)
    finally:
        attacker.kill()
        attacker.wait()
    outcome = json.loads(printed)
    hashed = hashing_seconds(server.process.pid) - before
    ratio = median(took for _, took in busy) / median(took for _, took in idle)
    said = (
        f"{outcome}; right login {1000 * median(took for _, took in idle):.0f} ms idle, "
        f"{1000 * median(took for _, took in busy):.0f} ms during it (ratio {ratio:.2f}, "
        f"{len(busy)} of them); administrator {Counter(administrators)}; "
        f"hashing {hashed:.1f} s, one hash {1000 * one_hash:.0f} ms"
    )
    print(said)
    record_property("guessing", said)
    replies = outcome["replies"]
    assert set(replies) <= {"401", "429", GIVEN_UP}
    assert sum(replies.values()) == ADDRESSES * EACH
    # What was refused was not hashed; what was given up may have been.
    looked_at = replies["401"] + replies.get(GIVEN_UP, 0)
    assert hashed <= 1.5 * one_hash * looked_at + 1, said
    # Ten of each address.
    assert replies["401"] <= 10 * ADDRESSES, said
    assert outcome["medians"]["429"] < 1, said
    assert len(busy) >= SAMPLES
    assert {status for status, _ in busy} == {200}, said
    assert ratio <= SLOWER_AT_MOST, said
    assert set(administrators) == {200}, said
    assert alice.log_in(ADMIN)[0] == 200
    # From where nobody has logged in yet, behind those who still wait for that very name.
    newcomer = visit("127.97.0.1")
    until = time.monotonic() + 120
    while (status := newcomer.log_in(ADMIN)[0]) == 429:
        assert time.monotonic() < until
        time.sleep(1)
    assert status == 200
