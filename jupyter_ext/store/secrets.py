"""Secrets at rest: encrypted, each text with the id of its key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from ..errors import Unavailable
from .base import Fact
from .scratch import staged

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

KEY_VARIABLE = "JUPYTER_EXT_STORE_KEY"
KEY_FILE_VARIABLE = "JUPYTER_EXT_STORE_KEY_FILE"

MAKE_ONE = (
    "Make one with `python -c 'from cryptography.fernet import Fernet; "
    f"print(Fernet.generate_key().decode())'` and give it as {KEY_VARIABLE}, or in a file named by "
    "JupyterExt.store_key_file."
)


class Secrets:
    """Encrypts and decrypts what must not lie open in the store.

    Parameters
    ----------
    key
        Keys, newest first, separated by commas or white space. The first encrypts, all decrypt.
    key_file
        Where they lie.
    beside
        SQLite's file: ``store.key`` in its folder is the key file then, made at the first start.
    """

    def __init__(
        self, key: str | None = None, key_file: Path | None = None, *, beside: Path | None = None
    ) -> None:
        self._given = key
        self._file = key_file
        self._beside = beside
        self._made = False
        self._source = ""
        self._keys: dict[str, bytes] = {}

    @property
    def fingerprint(self) -> str:
        """Of the key that encrypts; it tells nothing of the key."""
        return next(iter(self._keys))

    @property
    def keys(self) -> dict[str, bytes]:
        """The keys by their fingerprints, newest first."""
        return dict(self._keys)

    @property
    def source(self) -> str:
        """Where the key was found, for messages."""
        return self._source

    @property
    def place(self) -> Path | None:
        """The file of the key, there or not; None where the key itself is given."""
        if self._given or (self._file is None and os.environ.get(KEY_VARIABLE)):
            return None
        named = self._file is not None or KEY_FILE_VARIABLE in os.environ
        return self._path() if named or self._beside is not None else None

    def load(self) -> None:
        """Find the key.

        Raises
        ------
        Unavailable
            None is given where the store can't keep one, or what is given is no key.
        """
        text, self._source = self._given, "the configuration"
        if not text and self._file is None:
            text, self._source = os.environ.get(KEY_VARIABLE), KEY_VARIABLE
        if not text:
            text, self._source = self._from_file(), str(self._path())
        if not text:
            if self._beside is None:
                raise Unavailable("A store at a URL needs its secret key to be given.", MAKE_ONE)
            text = new_key().decode()
            self._made = True
        self._keys = read_keys(text)

    async def check(self, session: AsyncSession) -> None:
        """Compare the key with the one that the store was made with, or note it in a new store.

        Raises
        ------
        Unavailable
            It is another one: what is encrypted in the store could not be read.
        """
        known = await session.scalar(select(Fact.value).where(Fact.name == "key"))
        if known is None:
            if self._made:
                self._keep()
            session.add(Fact(name="key", value=self.fingerprint))
            return
        if self._made and self._path().exists():
            # Another process made the store and its key a moment ago.
            self._made = False
            self.load()
        if known not in self._keys:
            raise Unavailable(
                f"The store was made with another secret key than the one in {self._source}.",
                "Bring that key back (from a backup of the home folder, say).",
            )

    def encrypt(self, text: str) -> str:
        """Encrypt with the newest key."""
        from cryptography.fernet import Fernet

        name, key = next(iter(self._keys.items()))
        return f"{name[:8]}.{Fernet(key).encrypt(text.encode()).decode()}"

    def decrypt(self, text: str) -> str:
        """Decrypt what `encrypt` made with any of the keys.

        Raises
        ------
        Unavailable
            Its key is not among them, or the text was changed.
        """
        from cryptography.fernet import Fernet, InvalidToken

        name, _, token = text.partition(".")
        for known, key in self._keys.items():
            if known.startswith(name) and len(name) == 8:
                try:
                    return Fernet(key).decrypt(token.encode()).decode()
                except InvalidToken as error:
                    raise Unavailable(
                        "A secret in the store is damaged.", "Set it anew."
                    ) from error
        raise Unavailable(
            f"A secret in the store was encrypted with the key {name}, which is not there.",
            "Give that key too, after the new one.",
        )

    def renew(self, text: str) -> str:
        """Encrypt anew with the newest key; a text that has it already stays as it is."""
        if text.startswith(f"{self.fingerprint[:8]}."):
            return text
        return self.encrypt(self.decrypt(text))

    def seals(self, text: str) -> list[str]:
        """Return an ASCII text with a proof that a holder of the key wrote it: one for each key.

        The newest key's comes first. Unlike what `encrypt` makes it is always the same, so that it
        can be looked for.
        """
        return [f"{text}.{_proof(key, text)}" for key in self._keys.values()]

    def sealed(self, text: str) -> bool:
        """Whether `seals` returned this with any of the keys."""
        if not text.isascii():
            return False
        known = self.seals(text.rpartition(".")[0])
        return any(hmac.compare_digest(text, each) for each in known)

    # -- inside ----------------------------------------------------------------------

    def _path(self) -> Path:
        if self._file is not None:
            return self._file
        if named := os.environ.get(KEY_FILE_VARIABLE):
            return Path(named)
        return (self._beside or Path("store.db")).with_name("store.key")

    def _from_file(self) -> str:
        must_exist = self._file is not None or KEY_FILE_VARIABLE in os.environ
        if not must_exist and self._beside is None:
            return ""
        try:
            return self._path().read_text(encoding="ascii")
        except FileNotFoundError as error:
            if must_exist:
                raise Unavailable(f"The key file {self._path()} is missing.", MAKE_ONE) from error
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"The key file {self._path()} can't be read.", MAKE_ONE) from error

    def _keep(self) -> None:
        """Write the key where only its owner reads it, before anything is encrypted with it."""
        path = self._path()
        text = b"\n".join(self._keys.values()) + b"\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._made = False


def fingerprint(key: bytes) -> str:
    """Name a key without telling it."""
    return hashlib.sha256(b"jupyter_ext store key\n" + key).hexdigest()[:32]


def new_key() -> bytes:
    """Make a key."""
    return base64.urlsafe_b64encode(os.urandom(32))


def write_keys(path: Path, keys: Iterable[bytes]) -> None:
    """Replace a key file, on the disk when this returns; only its owner reads it.

    Raises
    ------
    Unavailable
        It can't be written.
    """
    # A link leads to where the file is kept, and stays one.
    path = path.resolve()
    new = staged(path)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"\n".join(keys) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"The key file {path} can't be written: {error.strerror}.",
            "Run this as the user whom the file and its folder belong to.",
        ) from error


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_keys(text: str) -> dict[str, bytes]:
    """Read keys as a key file has them, by their fingerprints.

    Raises
    ------
    Unavailable
        Something there is no key.
    """
    return {fingerprint(key): key for key in _keys(text)}


def _proof(key: bytes, text: str) -> str:
    # A message of a kind of its own, since Fernet signs with the same key.
    return hmac.new(key, b"jupyter_ext seal\n" + text.encode(), hashlib.sha256).hexdigest()[:32]


def _keys(text: str) -> list[bytes]:
    keys = [part.encode() for part in text.replace(",", " ").split()]
    for key in keys:
        try:
            good = len(base64.b64decode(key, altchars=b"-_", validate=True)) == 32
        except binascii.Error:
            good = False
        if not good:
            raise Unavailable(
                "The store's secret key is not 32 bytes in URL-safe base64.", MAKE_ONE
            )
    if not keys:
        raise Unavailable("The store's secret key is empty.", MAKE_ONE)
    return keys
