"""The calls of `device_calls`, grouped as `groups` does the others."""

from __future__ import annotations

from . import device_calls as calls
from .groups import AsyncGroup, AsyncMethod, Group, Method


class Devices(Group):
    """Hosts with an engine."""

    list = Method(calls.device_list)
    get = Method(calls.device_get)
    add = Method(calls.device_add)
    set = Method(calls.device_set)
    find_gpus = Method(calls.device_find_gpus)
    remove = Method(calls.device_remove)


class AsyncDevices(AsyncGroup):
    """Hosts with an engine."""

    list = AsyncMethod(calls.device_list)
    get = AsyncMethod(calls.device_get)
    add = AsyncMethod(calls.device_add)
    set = AsyncMethod(calls.device_set)
    find_gpus = AsyncMethod(calls.device_find_gpus)
    remove = AsyncMethod(calls.device_remove)


class Gpus(Group):
    """GPUs of the hosts."""

    list = Method(calls.gpu_list)
    get = Method(calls.gpu_get)
    waiting = Method(calls.gpu_waiting)


class AsyncGpus(AsyncGroup):
    """GPUs of the hosts."""

    list = AsyncMethod(calls.gpu_list)
    get = AsyncMethod(calls.gpu_get)
    waiting = AsyncMethod(calls.gpu_waiting)
