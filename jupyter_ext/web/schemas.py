"""What goes in and out where a page is opened."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from ..models import Model
from .names import Service


class OpenPage(Model):
    """A page that is to be opened."""

    service: Service = "jupyter"
    host: str | None = Field(
        None,
        max_length=255,
        description="The name by which the browser reaches this server, where one will open the "
        "page: it is told when the page's own name would not lead here from there",
    )


class OpenService(Model):
    """A page of a service that is to be opened."""

    host: str | None = Field(None, max_length=255, description="As for a container's page")


class OpenedPage(Model):
    """A link to a page, which works once."""

    url: str
    expires_at: datetime = Field(description="Until when the link works")
