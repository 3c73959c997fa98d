"""Whose a JupyterHub token is, against a Hub that says what the test wants, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from jupyter_ext.accounts import hub as hub_module
from jupyter_ext.accounts.hub import HubUsers
from jupyter_ext.accounts.manager import AccountManager
from jupyter_ext.accounts.schemas import Account
from jupyter_ext.errors import Forbidden, PlatformError, Unauthenticated, Unavailable
from jupyter_ext.store import Store

from ..engines.scratch import free_port
from ..engines.stores import QuickPasswords, Told

SCOPE = "access:services!service=desk"
ROLES = {"first": "operator", "second": "viewer"}


class FakeHub:
    """Answers ``GET /hub/api/user`` from a table of tokens."""

    def __init__(self) -> None:
        self.users: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.silent = threading.Event()
        self.silent.set()
        table = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers["Authorization"].removeprefix("token ")
                table.asked[token] += 1
                table.silent.wait(20)
                found = table.users.get(token, (403, {"message": "Forbidden"}))
                status, body = found if isinstance(found, tuple) else (200, found)
                if self.path != "/hub/api/user":
                    status, body = 404, {}
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hub/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def user(self, token: str, name: str, **more: Any) -> None:
        self.users[token] = {"kind": "user", "name": name, "scopes": [SCOPE], **more}


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    made = FakeHub()
    yield made
    made.silent.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def accounts(
    store: Store, bus: Told, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[AccountManager]:
    manager = AccountManager(store, admin_password="correct", passwords=QuickPasswords())
    jp_asyncio_loop.run_until_complete(manager.start())
    yield manager
    jp_asyncio_loop.run_until_complete(manager.stop())


@pytest.fixture
def users(
    fake: FakeHub, accounts: AccountManager, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[HubUsers]:
    made = HubUsers(accounts, api_url=fake.url, service="desk", group_roles=ROLES)
    yield made
    jp_asyncio_loop.run_until_complete(made.close())


async def account_of(users: HubUsers, token: str) -> Account:
    account = (await users.verify(token)).account
    assert account is not None
    return account


async def test_a_users_token_is_their_account(fake: FakeHub, users: HubUsers) -> None:
    fake.user("t", "jane")
    credential = await users.verify("t")
    assert credential.account is not None
    assert (credential.account.username, credential.account.role) == ("jane", "user")
    assert (credential.kind, credential.limited) == ("jupyter", False)
    assert credential.id == f"jupyter:{credential.account.id}"


async def test_the_hub_is_asked_once(fake: FakeHub, users: HubUsers) -> None:
    fake.user("t", "jane")
    await asyncio.gather(*(users.verify("t") for _ in range(20)))
    await users.verify("t")
    assert fake.asked["t"] == 1


async def test_who_goes_away_takes_nothing_from_the_others(fake: FakeHub, users: HubUsers) -> None:
    fake.user("t", "jane")
    fake.silent.clear()
    first, second = (asyncio.ensure_future(users.verify("t")) for _ in range(2))
    await asyncio.sleep(0.2)
    first.cancel()
    fake.silent.set()
    assert (await second).account is not None
    assert fake.asked["t"] == 1


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({"admin": True}, "admin"),
        ({"admin": True, "groups": ["second"]}, "admin"),
        ({"groups": ["second"]}, "viewer"),
        ({"groups": ["second", "first"]}, "operator"),
        ({"groups": ["other"]}, "user"),
        ({"admin": False, "groups": None}, "user"),
        ({"admin": "false"}, "user"),
    ],
)
async def test_the_hub_gives_the_role(
    fake: FakeHub, users: HubUsers, said: dict[str, Any], role: str
) -> None:
    fake.user("t", "jane", **said)
    assert (await account_of(users, "t")).role == role


async def test_what_the_hub_takes_back_is_gone(
    fake: FakeHub, users: HubUsers, accounts: AccountManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "REMEMBERED_SECONDS", 0.2)
    fake.user("t", "jane", admin=True)
    fake.user("other", "jane", admin=True)
    assert (await account_of(users, "t")).is_admin
    fake.user("t", "jane")
    fake.user("other", "jane")
    await asyncio.sleep(0.3)
    assert not (await account_of(users, "t")).is_admin
    # At once by every other token of theirs, and for good.
    assert not (await account_of(users, "other")).is_admin
    assert (await accounts.by_name("jane")).role == "user"
    del fake.users["t"]
    await asyncio.sleep(0.3)
    with pytest.raises(Unauthenticated):
        await users.verify("t")


async def test_an_answer_holds_for_half_a_minute() -> None:
    assert hub_module.REMEMBERED_SECONDS == 30


async def test_a_role_set_here_lasts_until_the_hub_is_asked(
    fake: FakeHub, users: HubUsers, accounts: AccountManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "REMEMBERED_SECONDS", 0.5)
    fake.user("t", "jane")
    await users.verify("t")
    await accounts.ensure("jane", role="operator")
    assert (await account_of(users, "t")).role == "operator"
    await asyncio.sleep(0.6)
    assert (await account_of(users, "t")).role == "user"


@pytest.mark.parametrize(
    ("found", "error", "words"),
    [
        ((403, {}), Unauthenticated, "does not know"),
        ((401, {}), Unauthenticated, "does not know"),
        ({"kind": "service", "name": "x", "scopes": [SCOPE]}, Forbidden, "service"),
        ({"kind": "user", "name": "jane", "scopes": ["access:servers"]}, Forbidden, SCOPE),
        ({"kind": "user", "name": "jane"}, Forbidden, SCOPE),
        (
            {"kind": "user", "name": "jane", "scopes": ["access:services!service=desk2"]},
            Forbidden,
            SCOPE,
        ),
        ({"kind": "user", "name": "admin", "scopes": [SCOPE]}, Forbidden, "admin_username"),
        ((500, {}), Unavailable, "HTTP 500"),
        ((404, {}), Unavailable, "JUPYTERHUB_API_URL"),
        ((302, {}), Unavailable, "HTTP 302"),
        ((200, b"<html>"), Unavailable, "JupyterHub at"),
        ((200, []), Unavailable, "JupyterHub at"),
        ((200, {"kind": "user"}), Unavailable, "JupyterHub at"),
    ],
)
async def test_what_opens_nothing(
    fake: FakeHub, users: HubUsers, found: Any, error: type[PlatformError], words: str
) -> None:
    fake.users["t"] = found
    for _ in range(2):
        with pytest.raises(error, match=words):
            await users.verify("t")


async def test_an_administrator_of_the_hub_may_be_the_owner(fake: FakeHub, users: HubUsers) -> None:
    fake.user("t", "admin", admin=True)
    assert (await account_of(users, "t")).username == "admin"


async def test_all_services_open_this_one(fake: FakeHub, users: HubUsers) -> None:
    fake.user("t", "jane", scopes=["access:services"])
    assert (await account_of(users, "t")).username == "jane"


@pytest.mark.parametrize("token", ["", "ä", "a\nb", "x" * 10_000, "a\0"])
async def test_what_can_be_no_token_is_not_sent(fake: FakeHub, users: HubUsers, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await users.verify(token)
    assert not fake.asked


async def test_a_hub_that_is_down_refuses_nobody(accounts: AccountManager) -> None:
    url = f"http://127.0.0.1:{free_port()}/hub/api"
    users = HubUsers(accounts, api_url=url, service="desk", group_roles={})
    with pytest.raises(Unavailable, match="JupyterHub at"):
        await users.verify("t")
    await users.close()


async def test_a_hub_that_hangs_is_given_up(
    fake: FakeHub, users: HubUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "DEADLINE", 0.3)
    fake.user("t", "jane")
    fake.silent.clear()
    with pytest.raises(Unavailable, match="TimeoutError"):
        await users.verify("t")
    fake.silent.set()
    assert (await account_of(users, "t")).username == "jane"


async def test_who_was_asked_for_lately_goes_on_while_the_hub_is_down(
    fake: FakeHub, users: HubUsers
) -> None:
    fake.user("t", "jane")
    await users.verify("t")
    fake.users["t"] = (500, {})
    assert (await account_of(users, "t")).username == "jane"


async def test_a_disabled_account_stays_out(
    fake: FakeHub, users: HubUsers, accounts: AccountManager, store: Store
) -> None:
    from sqlalchemy import update

    from jupyter_ext.accounts.directory import CHANGES
    from jupyter_ext.accounts.records import UserRecord

    fake.user("t", "jane")
    await users.verify("t")
    async with store.write() as session:
        await session.execute(
            update(UserRecord).where(UserRecord.username == "jane").values(enabled=False)
        )
        await store.signals.raise_(session, CHANGES)
    with pytest.raises(Forbidden, match="disabled"):
        await users.verify("t")


async def test_whose_account_was_deleted_begins_anew(
    fake: FakeHub, users: HubUsers, store: Store
) -> None:
    from sqlalchemy import delete

    from jupyter_ext.accounts.directory import CHANGES
    from jupyter_ext.accounts.records import UserRecord

    fake.user("t", "jane")
    before = await account_of(users, "t")
    async with store.write() as session:
        await session.execute(delete(UserRecord).where(UserRecord.username == "jane"))
        await store.signals.raise_(session, CHANGES)
    after = await account_of(users, "t")
    assert after.username == "jane"
    assert after.id != before.id


async def test_memory_is_bounded(
    fake: FakeHub, users: HubUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "REMEMBERED", 5)
    for number in range(12):
        with pytest.raises(Unauthenticated):
            await users.verify(f"t{number}")
    assert len(users._known) <= 5
