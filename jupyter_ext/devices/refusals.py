"""Says why somebody gets no GPU, or a device stays."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Conflict
from .placement import Gpu, Wish


def given_up(cid: int) -> Conflict:
    """Say that nobody waits for a container any more, or somebody does already."""
    return Conflict(
        "container",
        cid,
        "The container was deleted meanwhile, or is being started already.",
    )


def refusal(wish: Wish, gpus: Sequence[Gpu], *, possible: bool = True) -> Conflict:
    """Say why a request gets nothing.

    Parameters
    ----------
    possible
        Whether it might later.
    """
    there = {gpu.gid for gpu in gpus}
    if missing := [gid for gid in wish.gids if gid not in there]:
        return unavailable(missing[0], f"There is no GPU {missing[0]}.", "gid")
    fitting = [gpu for gpu in gpus if wish.fits(gpu)]
    one = next((gpu.gid for gpu in fitting if not gpu.free), fitting[0].gid if fitting else 0)
    field = "gid" if wish.gids else "count"
    if len(fitting) < wish.number:
        why = f"There are {len(fitting)} such GPUs here, and {wish.number} were asked for."
    elif not possible:
        why = (
            f"No device has {wish.number} such GPUs and as many processors and as much memory as "
            "were asked for, even if nobody else used it. Ask for less."
        )
    elif wish.gids and (taken := [gpu.gid for gpu in fitting if not gpu.free]):
        why = f"GPU {taken[0]} is taken. Wait for it (wait=true), or ask for another one."
    elif (free := sum(gpu.free > 0 for gpu in fitting)) < wish.number:
        why = (
            f"{free} of {len(fitting)} such GPUs are free, and {wish.number} were asked for. "
            "Wait (wait=true), or ask for others."
        )
    else:
        why = (
            "Such GPUs are free, but somebody waits for them, or their device has not enough "
            "processors or memory left, is being drained or can't be reached now. "
            "Wait (wait=true), or ask for less."
        )
    return unavailable(one, why, field)


def unavailable(gid: int, why: str, field: str) -> Conflict:
    """Say that a GPU can't be had, at the field that asks for it."""
    return Conflict("gpu", gid, why, fields={field: "is not available now"})


def or_cancel(operations: Sequence[str]) -> str:
    """Name the operations that are in the way, as the end of a cure; empty where none is."""
    if not operations:
        return ""
    return f", or cancel what is under way (`pig operation cancel {' '.join(operations)}`)"
