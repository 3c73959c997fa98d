"""Logging in as each document says, and what the page in the next tab must not do."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from ..engines import jupyter
from .conftest import ADMIN, ALICE, PASSWORD, UNLIMITED, browser
from .test_errors_over_http import dialect_of

EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def server(open_house: jupyter.JupyterServer) -> jupyter.JupyterServer:
    """A server that people register at, without the limits that other tests would meet."""
    return open_house


@pytest.fixture
def page(server: jupyter.JupyterServer) -> Iterator[httpx.Client]:
    """Somebody without any credential, with a cookie jar."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def machines(page: httpx.Client, **body: str) -> str:
    reply = page.post("api/v1/auth/login", json=body or ALICE)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["token"])


# -- one token --------------------------------------------------------------------------------


def test_a_token_stands_where_both_pages_of_the_document_look(page):
    body = page.post("api/v1/auth/login", json=ALICE).json()
    assert (body["success"], body["message"]) == (True, "操作成功")
    assert body["token"] == body["data"]["token"]
    assert body["user"] == body["data"]["user"]
    assert body["user"]["username"] == "alice"
    assert body["user"]["status"] == "active"
    assert body["user"]["lastLogin"].endswith("Z")
    assert "wonderland" not in str(body)
    assert not page.cookies
    reply = page.get("api/v1/containers", headers=bearer(body["token"]))
    assert reply.status_code in (200, 503)


def test_a_token_is_exchanged_once(page):
    first = machines(page)
    reply = page.post("api/v1/auth/refresh", headers=bearer(first))
    second = reply.json()["token"]
    assert page.get("api/v1/users/alice", headers=bearer(first)).status_code == 401
    assert page.get("api/v1/users/alice", headers=bearer(second)).status_code == 200
    third = page.post("api/v1/auth/refresh", json={"token": second}).json()["token"]
    assert page.get("api/v1/users/alice", headers=bearer(third)).status_code == 200
    stolen = page.post("api/v1/auth/refresh", headers=bearer(first))
    assert (stolen.status_code, dialect_of(stolen.json())) == (401, "voidvm")
    assert page.get("api/v1/users/alice", headers=bearer(third)).status_code == 401


def test_a_token_is_logged_out(page):
    token = machines(page)
    reply = page.post("api/v1/auth/logout", headers=bearer(token))
    assert (reply.status_code, reply.json()["data"]) == (200, {})
    assert page.get("api/v1/users/alice", headers=bearer(token)).status_code == 401
    again = page.post("api/v1/auth/logout", headers=bearer(token))
    assert (again.status_code, dialect_of(again.json())) == (401, "voidvm")
    none = page.post("api/v1/auth/logout")
    assert none.status_code == 401


# -- a pair -----------------------------------------------------------------------------------


def test_a_pair_as_the_document_shows_it(page):
    body = page.post("api/v1/login", json=ALICE).json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    me = page.get("api/v1/currentUser", headers=bearer(body["access_token"])).json()
    assert me["user"]["username"] == "alice"
    assert me["user"]["role"] == "user"
    refused = page.get("api/v1/currentUser", headers=bearer(body["refresh_token"]))
    assert (refused.status_code, dialect_of(refused.json())) == (401, "metadata")
    other = page.post("api/v1/refresh", json={"refresh_token": body["refresh_token"]}).json()
    assert page.get("api/v1/currentUser", headers=bearer(body["access_token"])).status_code == 401
    assert page.get("api/v1/currentUser", headers=bearer(other["access_token"])).is_success
    assert page.post("api/v1/logout", headers=bearer(other["access_token"])).json() == {}
    dead = page.post("api/v1/refresh", json={"refresh_token": other["refresh_token"]})
    assert (dead.status_code, dead.json()["code"]) == (401, "UNAUTHORIZED")


# -- cookies ----------------------------------------------------------------------------------


def test_cookies_as_the_document_shows_them(server, page):
    reply = page.post("api/login", json=ALICE)
    assert (reply.status_code, reply.json()["status"]) == (200, 0)
    assert reply.json()["message"]
    for header in reply.headers.get_list("set-cookie"):
        (morsel,) = SimpleCookie(header).values()
        assert morsel["httponly"]
        assert morsel["samesite"] == "Lax"
        # The path of the base URL, and no Secure on plain http.
        assert morsel["path"] == httpx.URL(server.url).raw_path.decode()
        assert not morsel["secure"]
    assert page.post("api/verify").json()["username"] == "alice"
    assert page.get("api/v1/users/alice").json()["username"] == "alice"
    gone = page.post("api/logout")
    assert gone.status_code == 200
    assert not page.cookies.get("user_token")
    assert page.post("api/verify").status_code == 401


def test_a_dead_cookie_opens_nothing_and_locks_nobody_out(server, page):
    page.post("api/login", json=ALICE)
    kept = dict(page.cookies)
    page.post("api/logout")
    with httpx.Client(base_url=server.url, trust_env=False, cookies=kept) as stale:
        assert stale.post("api/verify").status_code == 401
        assert stale.get("api/v1/users/alice").status_code == 401
    with browser(server) as owner:
        owner.cookies.update(kept)
        # Beside a good login of Jupyter's it is as if it were not there.
        assert owner.get("api/v1/users").json()["users"]
        assert (
            owner.post("api/verify", headers={"X-XSRFToken": owner.cookies["_xsrf"]}).status_code
            == 401
        )
    with httpx.Client(base_url=server.url, trust_env=False) as empty:
        empty.cookies.update({"username": "alice", "user_token": ""})
        assert empty.get("api/v1/users/alice").status_code == 401


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
def test_good_cookies_make_no_bad_header_good(page, scheme):
    page.post("api/login", json=ALICE)
    wrong = {"Authorization": f"{scheme} nonsense"}
    for ask in (
        page.build_request("POST", "api/verify", headers=wrong),
        page.build_request("GET", "containers", headers=wrong),
        page.build_request("GET", "api/v1/users/alice", headers=wrong),
        page.build_request("POST", "api/v1/api-keys", headers=wrong, json={"name": "x"}),
    ):
        assert page.send(ask).status_code == 401, ask.url


def test_both_cookies_belong_together(page):
    page.post("api/login", json=ALICE)
    token = page.cookies["user_token"]
    for cookies in ({"user_token": token}, {"user_token": token, "username": "admin"}):
        reply = httpx.post(f"{page.base_url}api/verify", cookies=cookies, trust_env=False)
        assert reply.status_code == 401


def test_a_token_of_a_cookie_is_no_bearer_and_no_bearer_a_cookie(page):
    page.post("api/login", json=ALICE)
    cookie = page.cookies["user_token"]
    page.cookies.clear()
    assert page.get("api/v1/users/alice", headers=bearer(cookie)).status_code == 401
    page.cookies.update({"username": "alice", "user_token": machines(page)})
    assert page.post("api/verify").status_code == 401


FOREIGN = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_origin_does_nothing_with_somebodys_cookies(page, headers):
    page.post("api/login", json=ALICE)
    changed = page.put("api/v1/users/alice", json={"email": "a@evil.example"}, headers=headers)
    assert changed.status_code == 403, changed.text
    assert page.post("api/logout", headers=headers).status_code == 403
    assert page.post("api/v1/api-keys", json={"name": "x"}, headers=headers).status_code == 403
    assert page.post("api/verify").status_code == 200
    # A look does no harm, since the page can't read the reply.
    look = page.get("api/v1/users/alice", headers=headers)
    assert "access-control-allow-origin" not in look.headers


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_origin_logs_nobody_in(page, headers):
    for path in ("api/login", "api/register"):
        reply = page.post(
            path,
            content=b'{"username": "alice", "password": "wonderland"}',
            headers={"Content-Type": "text/plain", **headers},
        )
        assert (reply.status_code, reply.json()["status"]) == (403, -1)
        assert "set-cookie" not in reply.headers


def test_pages_and_programs_of_ones_own_pass(server, page):
    origin = server.url.split("/a%40b")[0]
    for headers in (
        {"Origin": origin},
        {"Sec-Fetch-Site": "same-origin", "Origin": origin},
        {"Sec-Fetch-Site": "none"},
        {},
    ):
        assert page.post("api/login", json=ALICE, headers=headers).is_success
        assert page.put("api/v1/users/alice", json={}, headers=headers).is_success


def test_a_session_is_never_fixed_by_somebody_else(server, page):
    """Whoever plants a cookie in another browser gains nothing by that one's login."""
    page.post("api/login", json=ALICE)
    planted = dict(page.cookies)
    with httpx.Client(base_url=server.url, trust_env=False, cookies=planted) as victim:
        victim.cookies.update({"username": "admin"})
        reply = victim.post("api/login", json=ADMIN)
        assert reply.is_success
        (token,) = (
            SimpleCookie(header)["user_token"].value
            for header in reply.headers.get_list("set-cookie")
            if header.startswith("user_token")
        )
    assert token != planted["user_token"]
    assert page.post("api/verify").json()["username"] == "alice"


# -- registering ------------------------------------------------------------------------------


def test_registering_logs_in_with_the_least_role(page):
    body = {"username": "mallory", "password": "secret pass", "email": "m@example.org"}
    reply = page.post("api/register", json={**body, "role": "admin", "permissions": ["*"]})
    assert reply.status_code == 200
    assert "role" in reply.headers["Warnings"]
    assert page.post("api/verify").json()["username"] == "mallory"
    assert page.get("api/v1/currentUser").json()["user"]["role"] == "user"
    assert page.get("api/v1/users").status_code == 403
    again = page.post("api/register", json=body)
    assert (again.status_code, again.json()["status"]) == (409, -1)


def test_nobody_registers_as_a_folder_that_is_there_already(server, page):
    # A user's containers may mount the folder of their name.
    (server.folder / "research").mkdir()
    body = {"username": "research", "password": "secret pass"}
    reply = page.post("api/register", json=body)
    assert (reply.status_code, reply.json()["status"]) == (409, -1)
    with server.client() as admin:
        assert admin.get("users/research").status_code == 404
        # An administrator says by it whose the folder is.
        assert admin.post("users", json=body).status_code == 201


@pytest.mark.parametrize(
    "name", ["../admin", "a/b", "..", "a\0b", "x" * 300, "\u202eadmin", "аdmin", "user-1", "Admin"]
)
def test_tricks_in_names_are_named(page, name):
    for path in ("api/register", "api/v1/users"):
        headers = bearer(machines(page, **ADMIN)) if path == "api/v1/users" else {}
        reply = page.post(path, json={"username": name, "password": "secret pass"}, headers=headers)
        assert reply.status_code == 400
        assert "username" in reply.text


def test_closed_registration_names_the_cure_and_invitations_open_it():
    config: dict[str, dict[str, Any]] = {"JupyterExt": {"rate_limits": UNLIMITED}}
    with jupyter.jupyter_server(config=config) as closed:
        reply = httpx.post(f"{closed.url}api/register", json=ALICE, trust_env=False)
        assert (reply.status_code, reply.json()["status"]) == (403, -1)
        assert "pig user create" in reply.json()["error"]
    config["JupyterExt"]["registration"] = "invite"
    with jupyter.jupyter_server(config=config) as invited, invited.client() as admin:
        register = f"{invited.url}api/register"
        assert httpx.post(register, json=ALICE, trust_env=False).status_code == 403
        made = admin.post("invitations", json={"role": "operator"}).json()
        withdrawn = admin.post("invitations", json={}).json()
        assert admin.delete(f"invitations/{withdrawn['id']}").is_success
        for code in ("made up", withdrawn["code"]):
            tried = {**ALICE, "invitation": code}
            assert httpx.post(register, json=tried, trust_env=False).status_code == 403
        used = {**ALICE, "invitation": made["code"]}
        assert httpx.post(register, json=used, trust_env=False).is_success
        second = {**used, "username": "bob"}
        assert httpx.post(register, json=second, trust_env=False).status_code == 403
        assert admin.get("users/alice").json()["role"] == "operator"
        listed = admin.get("invitations").json()["invitations"]
        assert [each["id"] for each in listed] == [made["id"]]
        assert listed[0]["used_by"] == admin.get("users/alice").json()["id"]
        assert "code" not in listed[0]


# -- who may be what --------------------------------------------------------------------------


def test_nobody_raises_themselves(page):
    token = bearer(machines(page))
    for change in ({"role": "admin"}, {"permissions": ["user:create"]}, {"enabled": True}):
        reply = page.put("api/v1/users/alice", json=change, headers=token)
        assert (reply.status_code, dialect_of(reply.json())) == (403, "voidvm")
    assert page.put("api/v1/users/admin", json={"email": "x@y"}, headers=token).status_code == 404
    assert page.get("api/v1/users/admin", headers=token).status_code == 404
    mine = page.put("api/v1/users/alice", json={"email": "alice@example.org"}, headers=token)
    assert mine.json()["data"]["email"] == "alice@example.org"


def test_the_credential_decides_the_document(server, page):
    admin = bearer(machines(page, **ADMIN))
    body = page.get("api/v1/users", params={"page": 1, "limit": 1}, headers=admin).json()
    assert body["success"]
    assert body["data"]["pagination"]["limit"] == 1
    assert set(body["data"]["users"][0]) >= {
        "id", "username", "email", "role", "status", "lastLogin", "createdAt"
    }  # fmt: skip
    with server.client() as key:
        body = key.get("users").json()
        assert set(body["users"][0]) >= {
            "username", "role", "email", "databases", "created_at", "last_login"
        }  # fmt: skip
    bad = page.get("api/v1/users", headers=bearer("eyJ.not.valid"))
    assert (bad.status_code, dialect_of(bad.json())) == (401, "voidvm")
    for path in ("api/v1/users/nobody", "api/v1/users/a/b/c"):
        missing = page.get(path, headers=admin)
        assert (missing.status_code, dialect_of(missing.json())) == (404, "voidvm")
    with server.client() as key:
        assert dialect_of(key.get("users/a/b/c").json()) == "piglet"


def test_a_disabled_user_is_out_at_once(page):
    admin = bearer(machines(page, **ADMIN))
    body = {"username": "carol", "password": "secret pass"}
    made = page.post("api/v1/users", json=body, headers=admin)
    assert made.status_code == 201
    carol = bearer(machines(page, **body))
    assert page.get("api/v1/users/carol", headers=carol).is_success
    off = page.put("api/v1/users/carol", json={"status": "disabled"}, headers=admin).json()
    assert off["data"]["status"] == "disabled"
    assert page.get("api/v1/users/carol", headers=carol).status_code == 401
    assert page.post("api/v1/auth/login", json=body).status_code == 401
    page.put("api/v1/users/carol", json={"status": "active"}, headers=admin)
    assert page.post("api/v1/auth/login", json=body).status_code == 200
    owner = page.put("api/v1/users/admin", json={"status": "disabled"}, headers=admin)
    assert owner.status_code == 409


def test_a_new_password_ends_the_logins(page):
    admin = bearer(machines(page, **ADMIN))
    body = {"username": "dave", "password": "secret pass"}
    page.post("api/v1/users", json=body, headers=admin)
    dave = bearer(machines(page, **body))
    changed = page.put("api/v1/users/dave/password", json={"password": "another one"}, headers=dave)
    assert changed.is_success
    assert page.get("api/v1/users/dave", headers=dave).status_code == 401
    assert page.post("api/v1/auth/login", json=body).status_code == 401


def test_a_role_of_ones_own_making_counts_at_once(server, page):
    admin = bearer(machines(page, **ADMIN))
    role = {"name": "inviter", "permissions": ["user:read", "container:read"]}
    assert page.post("api/v1/roles", json=role, headers=admin).status_code == 201
    body = {"username": "erin", "password": "secret pass", "role": "inviter"}
    assert page.post("api/v1/users", json=body, headers=admin).status_code == 201
    erin = bearer(machines(page, **body))
    assert page.get("api/v1/roles", headers=erin).is_success
    assert page.post("api/v1/containers", json={}, headers=erin).status_code == 403
    changed = {"permissions": ["container:read"]}
    assert page.put("api/v1/roles/inviter", json=changed, headers=admin).is_success
    assert page.get("api/v1/roles", headers=erin).status_code == 403
    assert page.delete("api/v1/roles/inviter", headers=admin).status_code == 409
    assert page.delete("api/v1/roles/admin", headers=admin).status_code == 409
    unknown = {"name": "odd", "permissions": ["moon:land"]}
    assert "permissions" in page.post("api/v1/roles", json=unknown, headers=admin).text
    for guarded in ("user:create", "user:*", "role:update", "quota:*"):
        risen = {"name": "risen", "permissions": [guarded]}
        refused = page.post("api/v1/roles", json=risen, headers=admin)
        assert (refused.status_code, "permissions" in refused.text) == (400, True)
    reads = {"permissions": ["user:read"]}
    assert page.put("api/v1/roles/inviter", json=reads, headers=admin).is_success
    assert page.get("api/v1/users", headers=erin).json()["data"]["users"]
    none = {**body, "username": "frank", "role": "no-such"}
    assert "no-such" in page.post("api/v1/users", json=none, headers=admin).text


# -- what a wrong login tells ------------------------------------------------------------------


def test_a_wrong_login_tells_nothing(page):
    replies = [
        page.post(path, json={"username": name, "password": "wrong one"})
        for path in ("api/v1/auth/login", "api/v1/login", "api/login")
        for name in ("alice", "nobody-at-all", "user-1", "\u202e", "../admin")
    ]
    assert {reply.status_code for reply in replies} == {401}
    texts = set()
    for reply in replies:
        body = reply.json()
        error = body.get("error", body)
        texts.add(error if isinstance(error, str) else error["message"])
    assert texts == {"The user name or the password is wrong."}


def test_who_came_and_went_is_in_the_audit(server, page):
    token = machines(page)
    page.post("api/v1/auth/logout", headers=bearer(token))
    page.post("api/v1/login", json={**ALICE, "password": "sesame sesame"})
    page.post("api/v1/login", json={"username": "typed-in-the-wrong-field", "password": "x"})
    with server.client() as admin:
        wait = 50
        while True:
            entries = admin.get("audit", params={"action": "session:*", "limit": 4}).json()[
                "entries"
            ]
            seen = [(each["action"], each["status"], each["target"]) for each in entries]
            if ("session:create", 401, "") in seen or not wait:
                break
            wait -= 1
    assert sorted(seen) == [
        ("session:create", 200, "alice"),
        ("session:create", 401, ""),
        ("session:create", 401, "alice"),
        ("session:delete", 200, "alice"),
    ]
    assert {each["address"] for each in entries} == {"127.0.0.1"}
    assert entries[-1]["credential"].startswith("session:")
    for secret in (token, "sesame", "typed-in", "wonderland"):
        assert secret not in str(entries)


def test_no_secret_is_in_the_log(server, page):
    token = machines(page)
    with server.client() as admin:
        key = admin.post("api-keys", json={"name": "logged"}).json()["key"]
    page.get("api/v1/none", headers={"X-API-Key": key})
    page.get("api/v1/none", params={"token": token})
    page.get("api/v1/none", headers=bearer(token))
    page.post("api/v1/auth/login", json={"username": "alice", "password": "sesame sesame"})
    page.get("api/v1/users", headers=bearer(token + "x"))
    log = server.log
    for secret in (key, token, "sesame sesame", "wonderland", PASSWORD):
        assert secret not in log


def test_wrong_passwords_are_held_up_before_they_are_looked_at():
    config = {"JupyterExt": {"rate_limits": UNLIMITED, "admin_password": PASSWORD}}
    with jupyter.jupyter_server(config=config) as server:
        login = f"{server.api}/auth/login"
        wrong = {"username": "admin", "password": "wrong one"}
        # Three are forgiven, then the account waits for this address.
        codes = [httpx.post(login, json=wrong, trust_env=False).status_code for _ in range(5)]
        assert codes[:3] == [401, 401, 401]
        assert 429 in codes
        held = httpx.post(login, json=ADMIN, trust_env=False)
        while held.status_code == 429:
            assert 1 <= int(held.headers["Retry-After"]) <= 60
            held = httpx.post(login, json=ADMIN, trust_env=False)
        assert held.status_code == 200
        # Over all accounts, an address has ten a minute.
        codes = [
            httpx.post(
                login, json={**wrong, "username": f"name{number}"}, trust_env=False
            ).status_code
            for number in range(12)
        ]
        assert codes[-1] == 429
        assert codes.count(401) <= 10
