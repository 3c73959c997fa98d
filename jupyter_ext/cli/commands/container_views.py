"""How containers are shown: in a table, one with all that is known, what they use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...client.things import Thing
from ..views import Column, Details, Table, ago, size

COLUMNS = [
    Column("NAME", lambda c: c["name"]),
    Column("STATUS", lambda c: c["status"]),
    Column("IMAGE", lambda c: c["image"]),
    Column("PORTS", lambda c: published(c.get("ports") or {})),
    Column("CREATED", lambda c: ago(c.get("created_at"))),
    Column("ID", lambda c: str(c["id"])[:12]),
]
OWNER = Column("OWNER", lambda c: c.get("owner"))
STATS_COLUMNS = [
    Column("NAME", lambda s: s["name"]),
    Column("CPU %", lambda s: _percent(s.get("cpu_usage")), right=True),
    Column("MEMORY", lambda s: f"{size(s.get('memory_usage'))} / {size(s.get('memory_limit'))}"),
    Column("NETWORK IN / OUT", lambda s: _pair(s.get("network"), "rx_bytes", "tx_bytes")),
    Column("DISK READ / WRITTEN", lambda s: _pair(s.get("block"), "read_bytes", "write_bytes")),
    Column("PROCESSES", lambda s: s.get("pids"), right=True),
]
NONE = "No containers yet. Start one with `container run IMAGE`."


def listing(found: Sequence[Thing], empty: str = NONE, total: int | None = None) -> Table:
    """Return containers as a table, with their owners where it shows several people's."""
    several = len({c.get("owner") for c in found}) > 1
    return Table([*COLUMNS, OWNER] if several else COLUMNS, found, empty, total=total)


def measured(rows: Sequence[Thing]) -> Table:
    """Return what containers use as a table."""
    return Table(STATS_COLUMNS, rows, "No container runs.")


def details(found: Thing) -> Details:
    """Return all that is known of a container."""
    config, state = found.get("config") or {}, found.get("state") or {}
    return Details(
        found,
        [
            ("name", found.get("name")),
            ("id", found.get("id")),
            ("cid", found.get("cid")),
            ("status", found.get("status")),
            ("health", found.get("health")),
            ("exit code", state.get("exit_code") if found.get("status") == "exited" else None),
            ("error", state.get("error")),
            ("image", found.get("image")),
            ("command", " ".join(map(str, config.get("command") or []))),
            ("ports", published(found.get("ports") or {})),
            ("environment", config.get("environment")),
            ("folders", [_mount(mount) for mount in found.get("mounts") or []]),
            ("CPU", found.get("cpu") or "no limit"),
            ("memory", size(found.get("memory_bytes") or None) or "no limit"),
            ("device", found.get("device")),
            ("restarts", found.get("restart_policy")),
            ("created", found.get("created_at")),
            ("started", state.get("started_at")),
            ("idle", _idle(found.get("idle"))),
            ("owner", found.get("owner")),
        ],
    )


def published(ports: dict[str, int | None]) -> str:
    """Return ports as ``8080→80/tcp``."""
    shown = [f"{host}→{inside}" if host else inside for inside, host in ports.items()]
    return ", ".join(text.removesuffix("/tcp") for text in shown)


def address(host: str, port: int | None) -> str | None:
    """Return the URL of a published port, None where there is none."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}" if port else None


def _mount(mount: Thing) -> str:
    mode = ":ro" if mount.get("read_only") else ""
    return f"{mount.get('host_path')}:{mount.get('container_path')}{mode}"


def _idle(idle: Thing | None) -> str | None:
    """Return what the rules of time say of a container."""
    if idle is None:
        return None
    if idle.get("stopped_at"):
        return f"stopped at {idle['stopped_at']}, reason: {idle['reason']}"
    words = [f"since {idle['since']}"]
    for name, text in (("kept_until", "kept until"), ("stops_at", "stops at")):
        if idle.get(name):
            words.append(f"{text} {idle[name]}")
    return ", ".join(words)


def _percent(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else ""


def _pair(value: Any, first: str, second: str) -> str:
    found = value or {}
    return f"{size(found.get(first))} / {size(found.get(second))}"
