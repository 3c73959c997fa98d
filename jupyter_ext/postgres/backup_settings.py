"""How operators choose where backups are kept, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from traitlets import Bool, Dict, Enum, Float, Int, TraitError, Unicode, validate
from traitlets.config import Configurable

from ..store.types import utcnow
from .backup_info import BackupKind
from .repository import Bucket, Repository, Retention

MOST_KEPT = 36_500
"""Days or backups; pgBackRest and the calendar have their own ends."""


class BackupSettings(Configurable):
    """Backups of the product's own cluster."""

    repository = Unicode(
        "",
        help="Folder in which backups are kept, best on another disk than the databases "
        "(default: backups, beside them); with a bucket the path in it.",
    ).tag(config=True)

    bucket = Unicode("", help="A bucket of an S3 store that keeps backups instead of a disk.").tag(
        config=True
    )

    endpoint = Unicode("", help="The store's host or host:port, which speaks TLS.").tag(config=True)

    region = Unicode("us-east-1", help="The bucket's region.").tag(config=True)

    access_key = Unicode("", help="Key by which the store knows the server.").tag(config=True)

    secret_key = Unicode("", help="The key's secret.").tag(config=True)

    ca_file = Unicode(
        "", help="Certificates that vouch for the store (default: the system's)."
    ).tag(config=True)

    path_style = Bool(
        False,
        help="Whether the bucket is in the path, not in the host's name; most stores but "
        "Amazon's want it.",
    ).tag(config=True)

    encrypted = Bool(
        False,
        help="Whether backups are encrypted, with a passphrase that is made once and kept, itself "
        "encrypted, in the store. To be decided before the first backup.",
    ).tag(config=True)

    compression = Enum(
        ("zst", "lz4", "gz", "bz2", "none"), "zst", help="How backups are compressed."
    ).tag(config=True)

    keep_days = Int(
        30,
        min=1,
        max=MOST_KEPT,
        help="Days for which every moment can be restored: older full backups go away, with what "
        "depends on them, as soon as a younger one is that old.",
    ).tag(config=True)

    keep_full = Int(
        0,
        min=0,
        max=MOST_KEPT,
        help="Instead of days: how many full backups of administrators and of the schedule are "
        "kept, with all since the oldest of them; 0: days count.",
    ).tag(config=True)

    keep_replaced_days = Int(
        7,
        min=0,
        max=MOST_KEPT,
        help="Days for which what a restore replaced is kept: the folder of a cluster, or "
        "databases beside those that took their names.",
    ).tag(config=True)

    loading_seconds = Float(
        1800.0,
        min=1,
        help="Seconds after which a restore of databases is broken off while it loads them, where "
        "others wait for their restore: what users' indexes run may take for ever.",
    ).tag(config=True)

    schedule = Dict(
        key_trait=Enum([kind.value for kind in BackupKind]),
        value_trait=Unicode(),
        help="When backups are taken by themselves, as cron writes it, in UTC: minute, hour, day, "
        "month, weekday. {'full': '0 3 * * SUN', 'incremental': '0 3 * * *'} takes one each night. "
        "Default: none is.",
    ).tag(config=True)

    @validate("schedule")
    def _check_schedule(self, proposal: Any) -> dict[str, str]:
        from cronsim import CronSim, CronSimError

        times: dict[str, str] = proposal["value"]
        for kind, words in times.items():
            try:
                CronSim(words, utcnow())
            except CronSimError as error:
                raise TraitError(
                    f"BackupSettings.schedule: {words!r} of {kind} is no time as cron writes it "
                    f"({error})."
                ) from error
        return times

    daily = Int(
        24,
        min=1,
        help="Backups that somebody who is no administrator may take within 24 hours.",
    ).tag(config=True)

    watch_interval = Int(
        30, min=1, help="Seconds between two looks at whether the WAL reaches the backups."
    ).tag(config=True)

    def place(self, folder: Path, passphrase: str) -> Repository:
        """Return the repository of a cluster whose folder this is."""
        if not self.bucket:
            path = Path(self.repository).expanduser().absolute() if self.repository else None
            return Repository(path or folder / "backups", passphrase, self.compression)
        bucket = Bucket(
            self.bucket,
            self.endpoint,
            self.region,
            self.access_key,
            self.secret_key,
            Path(self.ca_file) if self.ca_file else None,
            self.path_style,
        )
        path = Path("/") / (self.repository.strip("/") or folder.name)
        return Repository(path, passphrase, self.compression, bucket)

    def retention(self) -> Retention:
        """Return what is kept."""
        return Retention(full=self.keep_full) if self.keep_full else Retention(days=self.keep_days)
