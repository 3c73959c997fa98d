"""The key: where it lies, whose it is, what it opens."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from jupyter_ext.errors import Unavailable
from jupyter_ext.store import Store
from jupyter_ext.store.secrets import KEY_FILE_VARIABLE, KEY_VARIABLE, Secrets

from ..engines.stores import KEY


def new_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def secrets_of(key: str) -> Secrets:
    secrets = Secrets(key)
    secrets.load()
    return secrets


async def test_another_key_is_refused(store_url: str) -> None:
    first = Store(store_url, key=new_key())
    await first.open()
    await first.close()
    with pytest.raises(Unavailable, match="another secret key"):
        await Store(store_url, key=new_key()).open()


async def test_another_key_is_refused_wherever_it_comes_from(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Store(store_url, key=new_key())
    await first.open()
    await first.close()
    file = tmp_path / "key"
    file.write_text(new_key())
    with pytest.raises(Unavailable, match=str(file)):
        await Store(store_url, key_file=file).open()
    monkeypatch.setenv(KEY_VARIABLE, new_key())
    with pytest.raises(Unavailable, match=KEY_VARIABLE):
        await Store(store_url).open()


async def test_the_key_of_sqlite_is_made_once_and_lies_beside_it(tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(f"sqlite:///{tmp_path}/store.db")
        await store.open()
        await store.close()
    assert stat.S_IMODE((tmp_path / "store.key").stat().st_mode) == 0o600


async def test_a_lost_key_is_not_replaced(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store(url)
    await store.open()
    await store.close()
    (tmp_path / "store.key").unlink()
    with pytest.raises(Unavailable, match="another secret key"):
        await Store(url).open()
    assert not (tmp_path / "store.key").exists()


async def test_a_store_at_a_url_needs_a_key() -> None:
    with pytest.raises(Unavailable, match="needs its secret key"):
        await Store("postgresql://me@127.0.0.1:1/none").open()


def test_the_key_comes_from_file_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = secrets_of(KEY).fingerprint
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    named = Secrets(None, file)
    named.load()
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(file))
    pointed = Secrets()
    pointed.load()
    monkeypatch.delenv(KEY_FILE_VARIABLE)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    told = Secrets()
    told.load()
    assert {named.fingerprint, pointed.fingerprint, told.fingerprint} == {wanted}


@pytest.mark.parametrize("key", ["short", "not base64 at all!", "é" * 44, " , "])
def test_what_is_no_key_is_refused(key: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    with pytest.raises(Unavailable):
        Secrets(None, file).load()
    with pytest.raises(Unavailable):
        Secrets(None, tmp_path / "missing").load()


def test_a_secret_comes_back_and_can_not_be_read_without_its_key() -> None:
    secrets = secrets_of(KEY)
    hidden = secrets.encrypt("hunter2 ü")
    assert "hunter2" not in hidden
    assert secrets.decrypt(hidden) == "hunter2 ü"
    with pytest.raises(Unavailable, match="which is not there"):
        secrets_of(new_key()).decrypt(hidden)
    with pytest.raises(Unavailable, match="damaged"):
        secrets.decrypt(hidden[:-8] + "AAAAAAA=")


async def test_a_rotated_key_opens_the_old_secrets(store_url: str) -> None:
    store = Store(store_url, key=KEY)
    await store.open()
    hidden = store.secrets.encrypt("hunter2")
    await store.close()
    both = Store(store_url, key=f"{new_key()},{KEY}")
    await both.open()
    try:
        assert both.secrets.decrypt(hidden) == "hunter2"
        renewed = both.secrets.renew(hidden)
        assert renewed != hidden
        assert both.secrets.renew(renewed) == renewed
        assert both.secrets.decrypt(renewed) == "hunter2"
    finally:
        await both.close()


def test_only_a_holder_of_the_key_seals() -> None:
    secrets = secrets_of(KEY)
    (seal,) = secrets.seals("op-1")
    assert seal.startswith("op-1.")
    assert secrets.sealed(seal)
    assert secrets.seals("op-1") == [seal]
    for forged in ("", "op-1", "op-1.", seal[:-1], seal.replace("1", "2", 1), f"{seal}.", "ü.é"):
        assert not secrets.sealed(forged)
    other = new_key()
    assert not secrets_of(other).sealed(seal)
    both = secrets_of(f"{other},{KEY}")
    assert both.sealed(seal)
    assert both.seals("op-1")[1] == seal
