"""The calls grouped as users know them, once for who waits and once for who awaits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from . import account_calls, calls
from .call import Call

if TYPE_CHECKING:
    from .aio import AsyncClient
    from .sync import Client

P = ParamSpec("P")
T = TypeVar("T")


class Group:
    """Calls of one domain on a client that waits."""

    def __init__(self, client: Client) -> None:
        self._client = client


class AsyncGroup:
    """Calls of one domain on a client that is awaited."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client


class Method(Generic[P, T]):
    """Makes a function that describes a call a method that makes it."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    def __get__(self, group: Group, owner: Any = None) -> Callable[P, T]:
        """Return the method of one client's group."""
        describe = self._describe

        @wraps(describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return group._client.call(describe(*args, **kwargs))

        return method


class AsyncMethod(Generic[P, T]):
    """Makes a function that describes a call a method that is awaited."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    def __get__(self, group: AsyncGroup, owner: Any = None) -> Callable[P, Awaitable[T]]:
        """Return the method of one client's group."""
        describe = self._describe

        @wraps(describe)
        async def method(*args: P.args, **kwargs: P.kwargs) -> T:
            return await group._client.call(describe(*args, **kwargs))

        return method


class Images(Group):
    """Images that you can use."""

    list = Method(calls.image_list)
    pull = Method(calls.image_pull)
    delete = Method(calls.image_delete)


class AsyncImages(AsyncGroup):
    """Images that you can use."""

    list = AsyncMethod(calls.image_list)
    pull = AsyncMethod(calls.image_pull)
    delete = AsyncMethod(calls.image_delete)


class ApiKeys(Group):
    """Your API keys."""

    list = Method(account_calls.api_key_list)
    create = Method(account_calls.api_key_create)
    revoke = Method(account_calls.api_key_revoke)


class AsyncApiKeys(AsyncGroup):
    """Your API keys."""

    list = AsyncMethod(account_calls.api_key_list)
    create = AsyncMethod(account_calls.api_key_create)
    revoke = AsyncMethod(account_calls.api_key_revoke)


class Users(Group):
    """Accounts."""

    list = Method(account_calls.user_list)
    create = Method(account_calls.user_create)
    delete = Method(account_calls.user_delete)
    set_password = Method(account_calls.user_set_password)


class AsyncUsers(AsyncGroup):
    """Accounts."""

    list = AsyncMethod(account_calls.user_list)
    create = AsyncMethod(account_calls.user_create)
    delete = AsyncMethod(account_calls.user_delete)
    set_password = AsyncMethod(account_calls.user_set_password)


class Quotas(Group):
    """What users may have."""

    get = Method(account_calls.quota_get)
    set = Method(account_calls.quota_set)


class AsyncQuotas(AsyncGroup):
    """What users may have."""

    get = AsyncMethod(account_calls.quota_get)
    set = AsyncMethod(account_calls.quota_set)


class Audit(Group):
    """Who did what."""

    list = Method(account_calls.audit_list)


class AsyncAudit(AsyncGroup):
    """Who did what."""

    list = AsyncMethod(account_calls.audit_list)


class System(Group):
    """The server and its machine."""

    status = Method(calls.system_status)
    info = Method(calls.system_info)
    resources = Method(calls.system_resources)


class AsyncSystem(AsyncGroup):
    """The server and its machine."""

    status = AsyncMethod(calls.system_status)
    info = AsyncMethod(calls.system_info)
    resources = AsyncMethod(calls.system_resources)
