"""What goes into and comes out of roles and permissions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..models import Model
from .schemas import Permissions, RoleName

Description = Annotated[str, Field(max_length=500)]


class Permission(Model):
    """Something that can be allowed."""

    id: str
    name: str
    description: str
    category: str


class PermissionList(Model):
    """Every permission."""

    permissions: list[Permission]


class Role(Model):
    """A name for permissions."""

    id: str
    name: str
    description: str
    permissions: list[str]
    built_in: bool


class RoleList(Model):
    """Every role."""

    roles: list[Role]


class NewRole(Model):
    """A role to be."""

    name: RoleName
    description: Description = ""
    permissions: Permissions


class RoleChange(Model):
    """What shall be different of a role; what is absent stays."""

    description: Description | None = None
    permissions: Permissions | None = None


class DeletedRole(Model):
    """What is gone now."""

    name: str
    status: Literal["deleted"] = "deleted"
