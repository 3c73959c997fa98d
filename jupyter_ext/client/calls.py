"""The one description of the calls: each function turns its arguments into a `Call`.

Both clients know how to make one: `groups.Method` puts such a function on a client's group, typed
for the one who waits, `groups.AsyncMethod` for the one who awaits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..errors import InvalidRequest
from .call import Call, OnProgress, given, nothing, path, thing
from .replies import bare, data
from .things import Page, Thing, page, wrap

# -- containers -----------------------------------------------------------------------------------


def container_list(status: str | None = None, *, limit: int = 1000, offset: int = 0) -> Call[Page]:
    """List your containers, newest first; `status` keeps those in one state."""
    query = {"status": status, "limit": limit, "offset": offset}
    return Call("GET", path("containers"), data, page, query)


def container_get(ref: str | int) -> Call[Thing]:
    """Tell everything of a container: by id, short id, name or cid."""
    return Call("GET", path("containers", ref), data, thing)


def container_create(
    spec: Mapping[str, Any] | None = None,
    /,
    *,
    name: str | None = None,
    image: str | None = None,
    ports: Mapping[str, int | None] | None = None,
    environment: Mapping[str, str] | None = None,
    volumes: Sequence[Mapping[str, Any]] | None = None,
    cpu: float | None = None,
    mem: int | None = None,
    command: str | Sequence[str] | None = None,
    progress: OnProgress | None = None,
    **more: Any,
) -> Call[Thing]:
    """Make a container and start it; an image that is missing is pulled first.

    Parameters
    ----------
    spec
        All of the following as one mapping.
    ports
        ``{"80/tcp": 8080}``: port of the container to port of the host.
    volumes
        ``[{"host_path", "container_path", "read_only"}]``.
    cpu, mem
        Limits in cores and MB.
    progress
        Called at each step.
    """
    fields = {
        "name": name,
        "image": image,
        "ports": ports,
        "environment": environment,
        "volumes": volumes,
        "cpu": cpu,
        "mem": mem,
        "command": command,
        **more,
    }
    return Call(
        "POST",
        path("containers"),
        data,
        thing,
        body=given(spec, fields),
        long=True,
        once=True,
        progress=progress,
    )


def container_start(ref: str | int, *, progress: OnProgress | None = None) -> Call[Thing]:
    """Start a container; one that runs stays as it is."""
    return Call("POST", path("containers", ref, "start"), data, thing, long=True, progress=progress)


def container_stop(
    ref: str | int, *, timeout: float | None = None, progress: OnProgress | None = None
) -> Call[Thing]:
    """Stop a container, killing it after `timeout` seconds; a stopped one stays as it is."""
    body = {"timeout": round(timeout)} if timeout is not None else None
    where = path("containers", ref, "stop")
    return Call("POST", where, data, thing, body=body, long=True, progress=progress)


def container_restart(ref: str | int, *, progress: OnProgress | None = None) -> Call[Thing]:
    """Stop a container where it runs, and start it."""
    where = path("containers", ref, "restart")
    return Call("POST", where, data, thing, long=True, progress=progress)


def container_keep(ref: str | int, *, minutes: int | None = None) -> Call[Thing]:
    """Keep a container running that is idle: for so many minutes, or as long as it may be idle."""
    body = {"minutes": minutes} if minutes is not None else None
    return Call("POST", path("containers", ref, "keep"), data, thing, body=body)


def container_update(
    ref: str | int,
    *,
    name: str | None = None,
    cpu: float | None = None,
    mem: int | None = None,
    restart_policy: str | None = None,
) -> Call[Thing]:
    """Change a container's name, limits or restart policy."""
    fields = {"name": name, "cpu": cpu, "mem": mem, "restart_policy": restart_policy}
    return Call("PUT", path("containers", ref), data, thing, body=given(None, fields))


def container_delete(
    ref: str | int, *, force: bool | None = None, volumes: bool | None = None
) -> Call[None]:
    """Delete a container.

    Parameters
    ----------
    force
        By default one that runs is stopped first; True kills it, False refuses to delete it.
    volumes
        Delete its anonymous volumes too.
    """
    query = {"force": force, "volumes": volumes}
    return Call("DELETE", path("containers", ref), data, nothing, query)


def container_log_text(
    ref: str | int,
    *,
    tail: int | None = None,
    since: datetime | timedelta | str | float | None = None,
    until: datetime | timedelta | str | float | None = None,
    timestamps: bool | None = None,
) -> Call[str]:
    """Return what a container has printed, as one text."""
    query = {"tail": tail, "since": since, "until": until, "timestamps": timestamps}
    return Call("GET", path("containers", ref, "logs"), data, lambda logs: str(logs["logs"]), query)


def container_metrics(ref: str | int, *, duration: int | None = None) -> Call[Thing]:
    """Tell what a container uses now, with a history of `duration` seconds."""
    return Call("GET", path("metrics", "containers", ref), data, thing, {"duration": duration})


def container_changes(ref: str | int) -> Call[list[Thing]]:
    """List files that were added, changed or deleted against the image."""

    def files(value: Any) -> list[Thing]:
        return list(page(value))

    return Call("GET", path("containers", ref, "changes"), data, files)


def container_open(
    ref: str | int, service: str = "jupyter", *, host: str | None = None
) -> Call[Thing]:
    """Get a link to a page of a container, which works once and within a minute.

    Parameters
    ----------
    service
        ``jupyter`` or ``tensorboard``.
    host
        The name by which the browser that will open it reaches the server.
    """
    body = given(None, {"service": service, "host": host})
    return Call("POST", path("containers", ref, "open"), data, thing, body=body)


def container_connection(ref: str | int, *, password: bool | None = None) -> Call[Thing]:
    """Tell how to get into a container: its ports of ssh, JupyterLab and TensorBoard.

    Parameters
    ----------
    password
        Tell the password for all of them, too.
    """
    where = path("containers", ref, "connection")
    return Call("GET", where, data, thing, {"password": password})


def container_save(
    ref: str | int,
    name: str,
    *,
    public: bool | None = None,
    progress: OnProgress | None = None,
) -> Call[Thing]:
    """Save a container, which stands still meanwhile, as an image of its owner's.

    Parameters
    ----------
    public
        Everybody may see it and start containers of it.
    """
    body = given(None, {"name": name, "public": public})
    where = path("containers", ref, "commit")
    return Call("POST", where, data, thing, body=body, long=True, once=True, progress=progress)


def container_put_archive(ref: str | int, folder: str, tar: bytes) -> Call[None]:
    """Unpack a tar archive into a folder of a container."""
    where = path("containers", ref, "archive")
    return Call("PUT", where, data, nothing, {"path": folder}, content=tar)


# -- images ---------------------------------------------------------------------------------------


def split_reference(reference: str) -> tuple[str, str | None]:
    """Split ``registry:5000/name:tag`` into name and tag; a digest counts as the tag."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, None)


def image_list(*, limit: int = 1000, offset: int = 0) -> Call[Page]:
    """List the images that you can use, newest first."""
    return Call("GET", path("images"), data, page, {"limit": limit, "offset": offset})


def image_pull(
    name: str, tag: str | None = None, *, progress: OnProgress | None = None
) -> Call[Thing]:
    """Pull an image: ``pull("nginx:1.27")`` or ``pull("nginx", "1.27")``.

    Parameters
    ----------
    progress
        Called at each step; ``operation.details.layers`` tells of each layer.
    """
    if not name.strip():
        raise InvalidRequest(fields={"name": "Name an image, for example busybox:latest."})
    if tag is None:
        name, tag = split_reference(name)
    body = {"name": name, **({"tag": tag} if tag else {})}
    where = path("images", "pull")
    return Call("POST", where, data, thing, body=body, long=True, once=True, progress=progress)


def image_build(
    name: str,
    *,
    base: str | None = None,
    cuda: bool | None = None,
    fresh: bool | None = None,
    progress: OnProgress | None = None,
) -> Call[Thing]:
    """Build the notebook image: ``build("notebook")``; administrators may.

    Parameters
    ----------
    base
        What it is built on.
    cuda
        Build it on the server's CUDA base.
    fresh
        Do every step again, so that packages are the newest.
    progress
        Called at each step.
    """
    body = given(None, {"name": name, "base": base, "cuda": cuda, "fresh": fresh})
    where = path("images", "build")
    return Call("POST", where, data, thing, body=body, long=True, once=True, progress=progress)


def image_delete(ref: str | int, *, force: bool | None = None) -> Call[None]:
    """Delete an image by id, iid or tag."""
    return Call("DELETE", path("images", ref), data, nothing, {"force": force})


def image_shares(ref: str | int) -> Call[Page]:
    """List the users whom an image is shared with."""
    return Call("GET", path("images", ref, "shares"), data, page)


def image_share(ref: str | int, username: str) -> Call[Thing]:
    """Let a user see an image of yours and run it."""
    return Call("PUT", path("images", ref, "shares", username), data, thing)


def image_unshare(ref: str | int, username: str) -> Call[Thing]:
    """Take an image back from a user; what they started of it goes on."""
    return Call("DELETE", path("images", ref, "shares", username), data, thing)


# -- operations -----------------------------------------------------------------------------------


def operation_list(
    *, state: str | None = None, limit: int | None = None, offset: int | None = None
) -> Call[Page]:
    """List long work, newest first."""
    query = {"state": state, "limit": limit, "offset": offset}
    return Call("GET", path("operations"), bare, page, query)


def operation_get(ref: str) -> Call[Thing]:
    """Tell how far an operation is."""
    return Call("GET", path("operations", ref), bare, thing)


def operation_cancel(ref: str) -> Call[Thing]:
    """Ask an operation to stop and undo what it did."""
    return Call("DELETE", path("operations", ref), bare, thing)


# -- the system -----------------------------------------------------------------------------------


def system_status() -> Call[Thing]:
    """Tell the health of the server and its services."""
    return Call("GET", path("status"), bare, thing)


def system_info() -> Call[Thing]:
    """Tell of the machine: host name, system, CPUs, memory, disk."""
    return Call("GET", path("system"), bare, thing)


def system_resources() -> Call[Thing]:
    """Tell what the machine uses now."""
    return Call("GET", path("metrics", "resources"), data, wrap)
