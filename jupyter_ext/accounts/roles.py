"""Roles: the four that are always there, and those of the administrator's own making."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ..api.route import May
from ..errors import Conflict, Forbidden, InvalidRequest, NotFound
from ..store.database import Store
from ..store.types import utcnow
from .directory import CHANGES
from .permissions import DESCRIPTIONS, PERMISSIONS, ROLES, grant_problem
from .quota_limits import drop_limits, role_subject
from .records import RoleRecord, UserRecord
from .role_schemas import (
    DeletedRole,
    NewRole,
    Permission,
    PermissionList,
    Role,
    RoleChange,
    RoleList,
)
from .schemas import Account


class RoleManager:
    """The rules of roles. A change counts at once, and on other servers within a second."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def permissions(self, caller: Account) -> PermissionList:
        """List every permission that there is."""
        return PermissionList(
            permissions=[
                Permission(
                    id=f"{thing}:{act}",
                    name=f"{thing}:{act}",
                    description=description,
                    category=thing,
                )
                for thing, acts in PERMISSIONS.items()
                for act, description in acts.items()
            ]
        )

    async def list(self, caller: Account) -> RoleList:
        """List the roles, those that are always there first."""
        async with self._store.read() as session:
            records = list(await session.scalars(select(RoleRecord).order_by(RoleRecord.name)))
        built_in = [
            Role(
                id=name,
                name=name,
                description=DESCRIPTIONS[name],
                permissions=list(granted),
                built_in=True,
            )
            for name, granted in ROLES.items()
        ]
        return RoleList(roles=[*built_in, *map(_view, records)])

    async def create(self, caller: Account, body: NewRole) -> Role:
        """Make a role.

        Raises
        ------
        Conflict
            There is one of this name.
        InvalidRequest
            A permission does not exist.
        """
        if body.name in ROLES:
            raise Conflict("role", body.name)
        _check(caller, body.permissions)
        record = RoleRecord(
            name=body.name,
            description=body.description,
            permissions=body.permissions,
            created_at=utcnow(),
        )
        try:
            async with self._store.write() as session:
                session.add(record)
                await session.flush()
                await self._store.signals.raise_(session, CHANGES)
        except IntegrityError as error:
            raise Conflict("role", body.name) from error
        return _view(record)

    async def update(self, caller: Account, role: str, body: RoleChange) -> Role:
        """Change a role; whoever has it may do what it says from now on.

        Raises
        ------
        NotFound
            There is none of this name.
        Conflict
            It is one of those that are always there.
        InvalidRequest
            A permission does not exist.
        """
        _refuse_built_in(role)
        async with self._store.write() as session:
            record = await _find(session, role)
            if body.permissions is not None:
                _check(caller, body.permissions)
                record.permissions = body.permissions
            if body.description is not None:
                record.description = body.description
            await self._store.signals.raise_(session, CHANGES)
        return _view(record)

    async def delete(self, caller: Account, role: str) -> DeletedRole:
        """Delete a role that nobody has.

        Raises
        ------
        NotFound
            There is none of this name.
        Conflict
            Somebody has it, or it is one of those that are always there.
        """
        _refuse_built_in(role)
        async with self._store.write() as session:
            record = await _find(session, role)
            count = select(func.count()).where(UserRecord.role == role)
            users = (await session.execute(count)).scalar_one()
            if users:
                raise Conflict(
                    "role", role, f"{users} users have the role {role}. Give them another first."
                )
            await session.delete(record)
            await drop_limits(session, role_subject(role))
            await self._store.signals.raise_(session, CHANGES)
        return DeletedRole(name=role)


def check_grants(permissions: Iterable[str]) -> None:
    """Raise where a permission can't be granted.

    Raises
    ------
    InvalidRequest
        It does not exist, or comes with the role admin only.
    """
    for name in permissions:
        if problem := grant_problem(name):
            raise InvalidRequest(fields={"permissions": problem})


def everything(permission: str | None) -> bool:
    """Whether a caller may who has no key with scopes: their role decides."""
    return True


def refuse_to_grant(may: May, role: str, permissions: Iterable[str] = ()) -> None:
    """Raise where a key with scopes would make somebody who may do more than it opens.

    Raises
    ------
    Forbidden
        It would: its holder would log in as them.
    """
    more = ["*"] if role == "admin" else []
    if lacking := [name for name in (*more, *permissions) if not may(name)]:
        raise Forbidden(f"Your key does not open {lacking[0]}, so it can't grant it.")


async def require_role(session: AsyncSession, name: str) -> None:
    """Raise where a role does not exist.

    Raises
    ------
    InvalidRequest
        It does not.
    """
    if name in ROLES or await session.get(RoleRecord, name) is not None:
        return
    made = await session.scalars(select(RoleRecord.name).order_by(RoleRecord.name).limit(20))
    names = ", ".join([*ROLES, *made])
    raise InvalidRequest(fields={"role": f"{name!r} is no role; there are {names}"})


async def _find(session: AsyncSession, name: str) -> RoleRecord:
    record = await session.get(RoleRecord, name)
    if record is None:
        raise NotFound("role", name)
    return record


def _refuse_built_in(name: str) -> None:
    if name in ROLES:
        raise Conflict("role", name, f"The role {name} is always there and stays as it is.")


def _check(caller: Account, permissions: list[str]) -> None:
    check_grants(permissions)
    if not caller.is_admin:
        raise Forbidden("Only an administrator makes and changes roles.")


def _view(record: RoleRecord) -> Role:
    return Role(
        id=record.name,
        name=record.name,
        description=record.description,
        permissions=record.permissions,
        built_in=False,
    )
