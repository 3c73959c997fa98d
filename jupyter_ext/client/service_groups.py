"""The calls of `service_calls`, grouped as `groups` does the others."""

from __future__ import annotations

from . import service_calls as calls
from .groups import AsyncGroup, AsyncMethod, Group, Method


class Services(Group):
    """Services beside the server."""

    list = Method(calls.service_list)
    start = Method(calls.service_start)
    stop = Method(calls.service_stop)
    restart = Method(calls.service_restart)
    open = Method(calls.service_open)
    logs = Method(calls.service_logs)


class AsyncServices(AsyncGroup):
    """Services beside the server."""

    list = AsyncMethod(calls.service_list)
    start = AsyncMethod(calls.service_start)
    stop = AsyncMethod(calls.service_stop)
    restart = AsyncMethod(calls.service_restart)
    open = AsyncMethod(calls.service_open)
    logs = AsyncMethod(calls.service_logs)
