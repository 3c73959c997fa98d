"""What goes into the calls about idle containers."""

from __future__ import annotations

from pydantic import Field

from ..accounts.quota_schemas import LONGEST
from ..models import Model


class Keep(Model):
    """How long a container is to be kept running."""

    minutes: int | None = Field(
        None,
        ge=1,
        le=LONGEST,
        description="From now; without it as long as it may be idle, or an hour",
    )
