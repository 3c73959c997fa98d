"""The calls grouped as users know them, once for who waits and once for who awaits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from . import calls
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
    build = Method(calls.image_build)
    delete = Method(calls.image_delete)
    shares = Method(calls.image_shares)
    share = Method(calls.image_share)
    unshare = Method(calls.image_unshare)


class AsyncImages(AsyncGroup):
    """Images that you can use."""

    list = AsyncMethod(calls.image_list)
    pull = AsyncMethod(calls.image_pull)
    build = AsyncMethod(calls.image_build)
    delete = AsyncMethod(calls.image_delete)
    shares = AsyncMethod(calls.image_shares)
    share = AsyncMethod(calls.image_share)
    unshare = AsyncMethod(calls.image_unshare)


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
