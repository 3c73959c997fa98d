"""What a container takes of its owner's quotas.

All containers that exist count, not only those that run: a stopped one starts again without asking
anybody (a restart policy, the engine's own start, the plain docker command), and whoever has made
it may rely on its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..accounts.quota_ledger import Fields
from ..accounts.quota_schemas import Amounts
from .defaults import ContainerDefaults
from .engine_types import ContainerDetail
from .fields import MEGABYTE
from .records import ContainerRecord
from .schemas import NewContainer

FIELDS: Fields = {"cpu": ("cpu", 1000), "memory": ("mem", MEGABYTE)}
"""Fields of a request that must be set where the resource is limited."""

LARGEST = 1 << 50
"""Of one container: what an engine says of a foreign one is not to burst a sum."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one container takes; 0 where it has no limit of its own.

    Parameters
    ----------
    cpu
        Thousandths of a processor.
    memory
        Bytes.
    """

    cpu: int = 0
    memory: int = 0

    @property
    def amounts(self) -> dict[str, int]:
        """What changes when only its size does."""
        return {"cpu": self.cpu, "memory": self.memory}

    @property
    def all_amounts(self) -> dict[str, int]:
        """What comes and goes with the whole container."""
        return {"containers": 1, **self.amounts}


def share_of_limits(cpu: float | None, memory: int | None) -> Share:
    """Return the share of a container with these limits, in cores and bytes."""
    return Share(min(round((cpu or 0) * 1000), LARGEST), min(memory or 0, LARGEST))


def share_of_detail(detail: ContainerDetail | None) -> Share | None:
    """Return the share of a container as the engine has it, None where that is not known."""
    return None if detail is None else share_of_limits(detail.cpu, detail.memory)


def limits_of(body: NewContainer, defaults: ContainerDefaults) -> tuple[float, int]:
    """Return the cores and bytes that a new container is limited to; 0 is no limit."""
    cpu = defaults.cpu if body.cpu is None else body.cpu
    mem = defaults.mem if body.mem is None else body.mem
    return cpu, mem * MEGABYTE


class ContainerHolder:
    """Containers as the ledger of quotas asks for them."""

    async def sums(self, session: AsyncSession) -> Mapping[str, Amounts]:
        """Add up what the records say, by account id."""
        record = ContainerRecord
        rows = await session.execute(
            select(
                record.owner,
                func.count(),
                func.sum(record.cpu_millis),
                func.sum(record.memory_bytes),
                func.sum(record.gpu_count),
            ).group_by(record.owner)
        )
        return {
            owner: {
                "containers": count,
                "cpu": int(cpu),
                "memory": int(memory),
                "gpus": int(gpus),
            }
            for owner, count, cpu, memory, gpus in rows
        }

    async def names(
        self, session: AsyncSession, owner: str, resource: str, limit: int
    ) -> Sequence[str]:
        """Name an account's containers that use a resource, the largest first."""
        record = ContainerRecord
        statement = select(record.name).where(record.owner == owner).limit(limit)
        if resource == "containers":
            statement = statement.order_by(record.cid.desc())
        elif resource in ("cpu", "memory"):
            size = record.cpu_millis if resource == "cpu" else record.memory_bytes
            statement = statement.where(size > 0).order_by(size.desc(), record.cid.desc())
        elif resource == "gpus":
            statement = statement.where(record.gpu_count > 0)
            statement = statement.order_by(record.gpu_count.desc(), record.cid.desc())
        else:
            return []
        return list(await session.scalars(statement))
