"""What commands do to several things at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import PlatformError
from ..session import Session
from ..views import Done, View


def delete_each(session: Session, refs: Sequence[str], delete: Callable[[str], object]) -> View:
    """Delete one after the other; what can't be deleted keeps no other from it.

    Raises
    ------
    PlatformError
        The last one that failed, after all that was done and what else failed has been shown.
    """
    deleted: list[str] = []
    failed: list[PlatformError] = []
    for ref in refs:
        try:
            delete(ref)
        except PlatformError as error:
            failed.append(error)
        else:
            deleted.append(ref)
    done = Done(
        f"Deleted {', '.join(deleted)}.",
        [{"id": ref, "deleted": True} for ref in deleted],
        "\n".join(deleted),
    )
    if not failed:
        return done
    if deleted:
        session.show(done)
    for one in failed[:-1]:
        session.fail(one)
    raise failed[-1]
