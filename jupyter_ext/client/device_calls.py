"""The calls about devices and their GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .call import Call, given, path, thing
from .replies import bare
from .things import Page, Thing, page


def device_list() -> Call[Page]:
    """List the hosts with an engine: how each is, what it has, what is taken."""
    return Call("GET", path("devices"), bare, page)


def device_get(ref: int | str) -> Call[Thing]:
    """Tell of one device, by its number or name."""
    return Call("GET", path("devices", ref), bare, thing)


def device_add(
    name: str,
    address: str,
    *,
    host_key: str | None = None,
    certificates: str | None = None,
    bind_address: str | None = None,
    gpus: Sequence[Mapping[str, Any]] | None = None,
) -> Call[Thing]:
    """Add a host, whose engine must answer (the administrator's).

    Parameters
    ----------
    address
        ``ssh://user@host`` or ``tcp://host:port``.
    host_key
        Of ssh, the fingerprint of the host's key, ``SHA256:…``. Without one nothing is added, and
        the `Conflict` has in ``fields["host_key"]`` which one the host shows.
    certificates
        Of tcp, a folder of the server's machine with ``ca.pem``, ``cert.pem`` and ``key.pem``.
    bind_address
        What ports of its containers are bound to; by default the host's own address.
    gpus
        ``uuid``, ``model`` and ``memory`` (MB) of each; without them they are looked for.
    """
    fields = {
        "host_key": host_key,
        "certificates": certificates,
        "bind_address": bind_address,
        "gpus": None if gpus is None else [dict(gpu) for gpu in gpus],
    }
    body = given({"name": name, "address": address}, fields)
    return Call("POST", path("devices"), bare, thing, body=body)


def device_set(
    ref: int | str,
    *,
    name: str | None = None,
    address: str | None = None,
    host_key: str | None = None,
    certificates: str | None = None,
    bind_address: str | None = None,
    draining: bool | None = None,
    gpus: Sequence[Mapping[str, Any]] | None = None,
) -> Call[Thing]:
    """Change a device (the administrator's); what is left out stays.

    Parameters
    ----------
    address, host_key, certificates
        Where its engine is now, as for `device_add`.
    draining
        Whether nothing new is placed there; what runs there runs on.
    gpus
        As for `device_add`; an empty list for none.
    """
    fields = {
        "name": name,
        "address": address,
        "host_key": host_key,
        "certificates": certificates,
        "bind_address": bind_address,
        "draining": draining,
        "gpus": None if gpus is None else [dict(gpu) for gpu in gpus],
    }
    return Call("PUT", path("devices", ref), bare, thing, body=given(None, fields))


def device_find_gpus(ref: int | str) -> Call[Thing]:
    """Have the server look again which GPUs a device has (the administrator's)."""
    return Call("POST", path("devices", ref, "gpus"), bare, thing)


def device_remove(ref: int | str, *, force: bool | None = None) -> Call[Thing]:
    """Remove a device (the administrator's); what runs there runs on, and is forgotten here.

    Parameters
    ----------
    force
        Also where containers are left on it.
    """
    return Call("DELETE", path("devices", ref), bare, thing, {"force": force})


def gpu_list() -> Call[Page]:
    """List the GPUs: how busy each is, and who has it (of others' only administrators read)."""
    return Call("GET", path("gpus"), bare, page)


def gpu_get(gid: int) -> Call[Thing]:
    """Tell of one GPU, with its last hour."""
    return Call("GET", path("gpus", gid), bare, thing)


def gpu_waiting() -> Call[int]:
    """Tell how many requests wait for GPUs."""
    return Call("GET", path("gpus"), bare, lambda found: int(found["waiting"]))
