"""What every model of a request or reply derives from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A model whose validator is made when it is first used.

    Making all of them takes a twentieth of a second of every server's start, and most servers use
    few.
    """

    model_config = ConfigDict(defer_build=True)
