"""Logging in with a password, three documents' ways: one token, a pair of tokens, cookies."""

from __future__ import annotations

from ..api.route import Cookie, WithCookies
from ..errors import Forbidden, Unauthenticated
from .login_journal import LoginJournal
from .login_schemas import LoggedIn, Login, SentRefreshToken, SentToken
from .manager import AccountManager
from .schemas import Account, Client, User
from .sessions import SessionKind, Sessions
from .throttle import LoginThrottle
from .tokens import TokenKind

HOUR = 3600
DAY = 24 * HOUR

ACCESS_SECONDS = HOUR
"""Of the access token of a pair: the document says so."""

FOREIGN_PAGE = (
    "A page of another origin sent this. Log in from this server's own pages, or from a program."
)


class LoginManager:
    """The rules of logins.

    Parameters
    ----------
    lifetime
        Seconds that a login lives after it was last refreshed.
    """

    def __init__(
        self,
        accounts: AccountManager,
        sessions: Sessions,
        throttle: LoginThrottle,
        journal: LoginJournal,
        *,
        lifetime: float = 7 * DAY,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._throttle = throttle
        self._journal = journal
        self._lifetime = lifetime

    # -- one token (machines) ----------------------------------------------------------------

    async def token(self, caller: None, client: Client, body: Login) -> LoggedIn:
        """Log in for one token that does everything.

        Raises
        ------
        Unauthenticated
            The name or the password is wrong; which, is not told.
        RateLimited
            Too many were.
        """
        account, user = await self._judge(client, body)
        login = await self._begin(account, "token", client)
        access = await self._sessions.token("access", account, login, self._lifetime)
        return LoggedIn(user, access, None, int(self._lifetime))

    async def refresh_token(self, caller: None, client: Client, body: SentToken) -> LoggedIn:
        """Exchange a token for the next; the old one is dead.

        Raises
        ------
        Unauthenticated
            The token is no good. One that was exchanged before ends the whole login.
        """
        record, account, login = await self._sessions.renew(
            _sent(client, body), "access", self._lifetime
        )
        access = await self._sessions.token("access", account, login, self._lifetime)
        return LoggedIn(record.view(), access, None, int(self._lifetime))

    async def end_token(self, caller: None, client: Client, body: SentToken) -> dict[str, str]:
        """End a login by its token.

        Raises
        ------
        Unauthenticated
            The token is no good.
        """
        await self._end(client, _sent(client, body), "access")
        return {}

    # -- a pair (data sources) ---------------------------------------------------------------

    async def pair(self, caller: None, client: Client, body: Login) -> LoggedIn:
        """Log in for a token that opens routes and one that makes the next pair.

        Raises
        ------
        Unauthenticated
            The name or the password is wrong; which, is not told.
        RateLimited
            Too many were.
        """
        account, user = await self._judge(client, body)
        login = await self._begin(account, "pair", client)
        return await self._pair(account, user, login)

    async def refresh_pair(self, caller: None, client: Client, body: SentRefreshToken) -> LoggedIn:
        """Make the next pair; the old one is dead.

        Raises
        ------
        Unauthenticated
            The token is no good. One that was used before ends the whole login.
        """
        record, account, login = await self._sessions.renew(
            body.refresh_token, "refresh", self._lifetime
        )
        return await self._pair(account, record.view(), login)

    async def end_pair(self, caller: None, client: Client, body: SentToken) -> dict[str, str]:
        """End a login by its access token.

        Raises
        ------
        Unauthenticated
            The token is no good.
        """
        await self._end(client, _sent(client, body), "access", "refresh")
        return {}

    async def _pair(self, account: Account, user: User, login: tuple[str, int]) -> LoggedIn:
        return LoggedIn(
            user,
            await self._sessions.token("access", account, login, ACCESS_SECONDS),
            await self._sessions.token("refresh", account, login, self._lifetime),
            ACCESS_SECONDS,
        )

    # -- cookies (GPU containers) ------------------------------------------------------------

    async def cookies(
        self, caller: None, client: Client, body: Login
    ) -> WithCookies[dict[str, str]]:
        """Log in for two cookies; the token is always a new one, whatever was sent.

        Raises
        ------
        Unauthenticated
            The name or the password is wrong; which, is not told.
        Forbidden
            A page of another origin sent it: it would log its visitor in as somebody else.
        RateLimited
            Too many were wrong.
        """
        require_same_origin(client)
        account, _ = await self._judge(client, body)
        return await self.welcome(account, client, "login success")

    async def welcome(
        self, account: Account, client: Client, message: str
    ) -> WithCookies[dict[str, str]]:
        """Begin a login by cookies for somebody who has proved who they are."""
        login = await self._begin(account, "cookie", client)
        token = await self._sessions.token("cookie", account, login, self._lifetime)
        return WithCookies(
            {"message": message},
            (
                Cookie("username", account.username, self._lifetime),
                Cookie("user_token", token, self._lifetime),
            ),
        )

    async def end_cookies(self, caller: None, client: Client) -> WithCookies[dict[str, str]]:
        """Empty the cookies, and end the login that they belong to.

        Raises
        ------
        Forbidden
            A page of another origin sent it.
        Unauthenticated
            There is none.
        """
        require_same_origin(client)
        if not client.cookie:
            raise Unauthenticated("You are not logged in.")
        await self._end(client, client.cookie, "cookie")
        return WithCookies(
            {"message": "logout success"}, (Cookie("username", ""), Cookie("user_token", ""))
        )

    async def verify(self, caller: Account) -> dict[str, str]:
        """Say who is logged in."""
        return {"username": caller.username}

    async def who(self, caller: Account) -> dict[str, dict[str, str]]:
        """Say who the caller is."""
        return {"user": {"id": caller.id, "username": caller.username, "role": caller.role}}

    # -- inside ------------------------------------------------------------------------------

    async def _begin(self, account: Account, kind: SessionKind, client: Client) -> tuple[str, int]:
        login = await self._sessions.begin(account, kind, client.address, self._lifetime)
        await self._journal.begun(account, login[0], client)
        return login

    async def _end(self, client: Client, token: str, *kinds: TokenKind) -> None:
        user, session = await self._sessions.end(token, *kinds)
        await self._journal.ended(user, session, client)

    async def _judge(self, client: Client, body: Login) -> tuple[Account, User]:
        async with self._throttle.attempt(body.username, client.address) as attempt:
            try:
                found = await self._accounts.authenticate(
                    body.username, body.password, known=attempt.known
                )
            except Unauthenticated:
                attempt.right = False
                self._journal.refused(body.username, client)
                raise
            attempt.right = True
            return found


def require_same_origin(client: Client) -> None:
    """Refuse what a page of another origin sent.

    Raises
    ------
    Forbidden
        It did.
    """
    if not client.same_origin:
        raise Forbidden(FOREIGN_PAGE)


def _sent(client: Client, body: SentToken) -> str:
    token = body.token or client.bearer
    if not token:
        raise Unauthenticated("Send the token as `Authorization: Bearer …`, or as `token`.")
    return token
