"""Accounts that people make for themselves: never, by invitation, or freely."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select

from ..api.route import May, Page, WithCookies
from ..errors import Conflict, Forbidden, NotFound
from ..store.database import Store
from ..store.types import new_id, utcnow
from .directory import Directory
from .login_journal import LoginJournal
from .login_schemas import (
    CreatedInvitation,
    Invitation,
    NewInvitation,
    Registration,
    WithdrawnInvitation,
)
from .logins import LoginManager, require_same_origin
from .passwords import Passwords
from .records import InvitationRecord
from .roles import everything, refuse_to_grant, require_role
from .schemas import Account, Client, KeyQuery
from .throttle import LoginThrottle

CLOSED = (
    "Registration is closed. Ask the administrator for an account, who makes it with "
    "`pig user create NAME`, or opens registration with JupyterExt.registration."
)
NEEDED = "Registration needs an invitation. Ask the administrator for one, and send its code."
WRONG = "This invitation is not valid: it is mistyped, used, withdrawn or expired."

_log = logging.getLogger(__name__)


class RegistrationManager:
    """The rules of registering.

    Parameters
    ----------
    mode
        ``closed``, ``invite`` or ``open``.
    awaits
        Whether something lies there already for whoever has a name: such a name only an
        administrator gives.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        logins: LoginManager,
        throttle: LoginThrottle,
        journal: LoginJournal,
        mode: str,
        awaits: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._journal = journal
        self._store = store
        self._passwords = passwords
        self._logins = logins
        self._throttle = throttle
        self._mode = mode
        self._awaits = awaits
        self._directory = Directory(store)

    async def register(
        self, caller: None, client: Client, body: Registration
    ) -> WithCookies[dict[str, str]]:
        """Make an account, and log it in.

        Raises
        ------
        Forbidden
            Registration is closed, or the invitation no good.
        Conflict
            The name is taken, or a folder of that name is there already.
        InvalidRequest
            The password is too short.
        RateLimited
            Too many came from this address.
        """
        require_same_origin(client)
        if self._mode == "closed":
            raise Forbidden(CLOSED)
        if self._mode == "invite" and not body.invitation:
            raise Forbidden(NEEDED)
        self._passwords.check(body.password)
        # Whoever tries names or invitations is counted as whoever tries passwords.
        async with self._throttle.attempt("", client.address) as attempt:
            attempt.right = False
            account = await self._make(body)
            attempt.right = True
            # Accounts are as many as wrong passwords may be, or one program makes a million.
            await self._throttle.count(client.address)
        await self._journal.registered(account, client)
        return await self._logins.welcome(account, client, "register success")

    async def _make(self, body: Registration) -> Account:
        if body.invitation:
            # A hash is dear; whoever guesses codes gets none.
            async with self._store.read() as session:
                wanted = select(InvitationRecord.id).where(*_open(body.invitation))
                if await session.scalar(wanted) is None:
                    raise Forbidden(WRONG)
        if await self._awaits(body.username):
            # Told as a name that is taken: what folders there are is no stranger's business.
            _log.warning(
                "Nobody registers as %s: a folder of that name is there already. Make the account "
                "by `pig user create %s` if it is theirs",
                body.username,
                body.username,
            )
            raise Conflict("user", body.username)
        hashed = await self._passwords.hash_strangers(body.username, body.password)
        async with self._store.write() as session:
            invitation = None
            if body.invitation:
                invitation = await session.scalar(
                    select(InvitationRecord).where(*_open(body.invitation)).with_for_update()
                )
                if invitation is None:
                    raise Forbidden(WRONG)
            user = await self._directory.add(
                session,
                body.username,
                role=invitation.role if invitation else "user",
                password=hashed,
                email=body.email,
            )
            if invitation is not None:
                invitation.used_by, invitation.used_at = user.id, utcnow()
            return await self._directory.account(session, user)

    # -- invitations -------------------------------------------------------------------------

    async def invite(
        self, caller: Account, body: NewInvitation, may: May = everything
    ) -> CreatedInvitation:
        """Make an invitation that one person can use once.

        Parameters
        ----------
        may
            What the caller's key opens: it invites nobody who may do more.

        Raises
        ------
        InvalidRequest
            The role does not exist.
        Forbidden
            The caller is no administrator, or their key opens less than the role.
        """
        _administrators_only(caller)
        refuse_to_grant(may, body.role)
        code = secrets.token_urlsafe(24)
        now = utcnow()
        record = InvitationRecord(
            id=new_id("inv"),
            hash=_hash(code),
            role=body.role,
            email=body.email,
            created_by=caller.id,
            created_at=now,
            expires_at=now + timedelta(days=body.days),
            used_by=None,
            used_at=None,
        )
        async with self._store.write() as session:
            await require_role(session, body.role)
            session.add(record)
        return CreatedInvitation(**_view(record).model_dump(), code=code)

    async def list(self, caller: Account, query: KeyQuery) -> Page[Invitation]:
        """List invitations, newest first."""
        _administrators_only(caller)
        async with self._store.read() as session:
            total = await session.scalar(select(func.count()).select_from(InvitationRecord))
            rows = await session.scalars(
                select(InvitationRecord)
                .order_by(InvitationRecord.created_at.desc(), InvitationRecord.id.desc())
                .limit(query.limit)
                .offset(query.offset)
            )
            found = [_view(record) for record in rows]
        return Page(found, total or 0, query.limit, query.offset, "invitations")

    async def withdraw(self, caller: Account, invitation_id: str) -> WithdrawnInvitation:
        """Take an invitation back; an account that was made with it stays.

        Raises
        ------
        NotFound
            There is none of this id.
        """
        _administrators_only(caller)
        async with self._store.write() as session:
            record = await session.get(InvitationRecord, invitation_id)
            if record is None:
                raise NotFound("invitation", invitation_id)
            await session.delete(record)
        return WithdrawnInvitation(id=invitation_id)


def _open(code: str) -> Sequence[ColumnElement[bool]]:
    return (
        InvitationRecord.hash == _hash(code),
        InvitationRecord.used_at.is_(None),
        InvitationRecord.expires_at > utcnow(),
    )


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _view(record: InvitationRecord) -> Invitation:
    return Invitation(
        id=record.id,
        role=record.role,
        email=record.email,
        created_by=record.created_by,
        created_at=record.created_at,
        expires_at=record.expires_at,
        used_by=record.used_by,
        used_at=record.used_at,
    )


def _administrators_only(caller: Account) -> None:
    if not caller.is_admin:
        raise Forbidden("Only an administrator invites.")
