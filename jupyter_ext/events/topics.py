"""What the bus carries, and who may hear it."""

from __future__ import annotations

from collections.abc import Mapping

TOPICS: Mapping[str, str] = {
    "containers": "container:read",
    "images": "image:read",
    "operations": "operation:read",
    "engine": "system:read",
    "container-stats": "metrics:read",
    "users": "user:read",
    "databases": "database:read",
    "services": "service:read",
    "backups": "backup:read",
    "snapshots": "snapshot:read",
}
"""The permission that opens each topic, by whichever way it is read."""
