"""Where backups are kept: a folder of this machine or a bucket, plain or encrypted.

Option names: pgBackRest's configuration reference, "Repository Options (repo)".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CIPHER = "aes-256-cbc"
"""The one that pgBackRest has."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of an object store that speaks S3, always by TLS.

    Parameters
    ----------
    endpoint
        ``host`` or ``host:port``. pgBackRest before 2.53 takes no certificate of an IP address.
    ca_file
        Certificates that vouch for it; None: the system's.
    path_style
        The bucket is in the path, as most stores but Amazon's want it, and not in the host's name.
    """

    name: str
    endpoint: str
    region: str
    key: str
    secret: str = field(repr=False)
    ca_file: Path | None = None
    path_style: bool = False

    def options(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the configuration."""
        yield "repo1-type", "s3"
        yield "repo1-s3-bucket", self.name
        yield "repo1-s3-endpoint", self.endpoint
        yield "repo1-s3-region", self.region
        yield "repo1-s3-key", self.key
        yield "repo1-s3-key-secret", self.secret
        yield "repo1-s3-uri-style", "path" if self.path_style else "host"
        if self.ca_file is not None:
            yield "repo1-storage-ca-file", str(self.ca_file)


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the backups and the WAL of one or more clusters are kept.

    Parameters
    ----------
    path
        The folder; in a bucket it is below its root.
    bucket
        None: a folder of this machine.
    passphrase
        Everything in it is encrypted with this; empty: nothing is. It can't be changed later.
    compression
        ``zst``, ``lz4``, ``gz``, ``bz2`` or ``none``.
    """

    path: Path
    passphrase: str = field(default="", repr=False)
    compression: str = "zst"
    bucket: Bucket | None = None

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self.bucket is None

    def options(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the configuration, secrets among them."""
        yield "repo1-path", str(self.path)
        # One object for many small files: a new database alone has 300 of them.
        yield "repo1-bundle", "y"
        yield "compress-type", self.compression
        if self.bucket is not None:
            yield from self.bucket.options()
        if self.passphrase:
            yield "repo1-cipher-type", CIPHER
            yield "repo1-cipher-pass", self.passphrase


@dataclass(frozen=True, slots=True)
class Retention:
    """What `expire` keeps.

    Parameters
    ----------
    full
        How many full backups, with all that depend on them and the WAL since the oldest.
    days
        Instead of a number: full backups until there is one older than this.
    differential
        How many differential ones; None: as long as their full ones.
    """

    full: int | None = None
    days: int | None = None
    differential: int | None = None

    def options(self) -> list[str]:
        """Return the options of the command."""
        if self.days is not None:
            kept = ["--repo1-retention-full-type=time", f"--repo1-retention-full={self.days}"]
        else:
            kept = [f"--repo1-retention-full={self.full or KEEP_ALL}"]
        if self.differential is not None:
            kept.append(f"--repo1-retention-diff={self.differential}")
        return kept


KEEP_ALL = 9_999_999
"""The largest number that pgBackRest takes. Without any it would never remove WAL; with more than
there are it removes what is older than the oldest full backup."""
