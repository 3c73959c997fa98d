"""How operators choose what snapshots hold, and where their files lie."""

from __future__ import annotations

from traitlets import Callable, Int, List, Unicode, Union
from traitlets.config import Configurable

from ..accounts.schemas import Account


class SnapshotSettings(Configurable):
    """Snapshots of users' databases, files and containers."""

    repository = Unicode(
        "",
        help="Folder in which the files of snapshots are kept, best on another disk "
        "(default: snapshots in `home`; as root beside the databases, where users' own programs "
        "can enter).",
    ).tag(config=True)

    files = Union(
        [Unicode(), Callable()],
        default_value="",
        help="Folder of a user's notebook files, {username} in it being the user's name, or a "
        "function of the account that returns it (default: the notebook root for administrators, "
        "and for everybody else their own folder below it; a desk has none).",
    ).tag(config=True)

    exclude = List(
        Unicode(),
        ["__pycache__", ".cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", "node_modules"],
        help="Patterns of files and folders that are in no snapshot, as restic's --exclude has "
        "them: what can be made again.",
    ).tag(config=True)

    most = Int(50, min=0, help="Snapshots that a user may have; 0: any number.").tag(config=True)

    keep_before_days = Int(
        30,
        min=1,
        help="Days for which what was there before a restore is kept as a snapshot; the newest one "
        "of each user stays.",
    ).tag(config=True)

    most_before = Int(
        10,
        min=1,
        help="Of what was there before restores, how many snapshots of a user are kept: the oldest "
        "goes when there is one more.",
    ).tag(config=True)

    def folder_of(self, account: Account) -> str:
        """Return what is configured as a user's folder; empty: nothing."""
        if callable(self.files):
            return str(self.files(account) or "")
        return str(self.files).replace("{username}", account.username)
