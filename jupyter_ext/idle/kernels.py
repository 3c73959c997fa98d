"""Asks the JupyterLab inside a container whether its kernels and terminals are in use.

What answers is the container's owner's own and may say anything: it is read with a limit of time
and size, no redirect is followed, and the worst that it can do is to keep itself running.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

SECONDS = 3.0
"""That an answer may take."""

LARGEST = 1 << 20
"""Bytes of an answer."""

PATHS = ("api/kernels", "api/terminals")
"""Of Jupyter Server's REST API: lists of models with ``last_activity``, kernels' also with
``execution_state``."""


@dataclass(frozen=True, slots=True)
class KernelUse:
    """What a JupyterLab says.

    Parameters
    ----------
    busy
        Whether a kernel computes.
    last
        When a kernel or terminal was last used, None where there is none.
    """

    busy: bool
    last: datetime | None


class Kernels:
    """Jupyter servers in containers."""

    async def use(self, host: str, port: int, token: str) -> KernelUse | None:
        """Return what the Jupyter server at a published port says; None where it says nothing."""
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        lists = await asyncio.gather(*(self._get(f"{url}/{path}", token) for path in PATHS))
        if all(found is None for found in lists):
            return None
        models = [model for found in lists for model in found or ()]
        busy = any(model.get("execution_state") == "busy" for model in models)
        return KernelUse(busy, max(_moments(models), default=None))

    async def close(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            await self._client.aclose()

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(
            timeout=SECONDS,
            trust_env=False,
            # Each container's address is soon another one's.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def _get(self, url: str, token: str) -> list[dict[str, Any]] | None:
        import httpx

        headers = {"Authorization": f"token {token}"}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._client.stream("GET", url, headers=headers) as reply,
            ):
                if reply.status_code != 200:
                    return None
                async for piece in reply.aiter_bytes():
                    body += piece
                    if len(body) > LARGEST:
                        return None
            found = json.loads(body)
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError):
            return None
        finally:
            # What one container sets is never sent to another.
            self._client.cookies.clear()
        if not isinstance(found, list):
            return None
        return [model for model in found if isinstance(model, dict)]


def _moments(models: list[dict[str, Any]]) -> Iterator[datetime]:
    for model in models:
        try:
            moment = datetime.fromisoformat(str(model.get("last_activity")))
        except ValueError:
            continue
        yield moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
