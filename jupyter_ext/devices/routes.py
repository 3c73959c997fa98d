"""Routes of devices and GPUs."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Feed, Route
from .device_schemas import (
    DeviceChange,
    DeviceList,
    DeviceRemoval,
    DeviceReply,
    NewDevice,
    RemovedDevice,
)
from .gpus import GpuManager
from .live import DeviceFeed
from .manager import DeviceManager
from .schemas import GpuDetail, GpuList

DEVICES = "/api/v1/devices"
DEVICE = "/api/v1/devices/{ref}"

ROUTES = [
    Route(
        "GET",
        "/api/v1/gpus",
        GpuManager.list,
        PIGLET,
        "gpu:read",
        result=GpuList,
        summary="GPUs: how busy each is, and who has it",
    ),
    Route(
        "GET",
        "/api/v1/gpus/{gid}",
        GpuManager.get,
        PIGLET,
        "gpu:read",
        result=GpuDetail,
        summary="A GPU with its last hour",
    ),
    Route(
        "GET",
        DEVICES,
        DeviceManager.list,
        PIGLET,
        "device:read",
        result=DeviceList,
        summary="Hosts with an engine: how each is, what it has, what is taken",
    ),
    Route(
        "POST",
        DEVICES,
        DeviceManager.add,
        PIGLET,
        "device:create",
        body=NewDevice,
        result=DeviceReply,
        status=201,
        summary="Add a host",
    ),
    Route(
        "GET",
        DEVICE,
        DeviceManager.get,
        PIGLET,
        "device:read",
        result=DeviceReply,
        summary="A host with an engine",
    ),
    Route(
        "PUT",
        DEVICE,
        DeviceManager.set,
        PIGLET,
        "device:update",
        body=DeviceChange,
        result=DeviceReply,
        summary="Change a host, drain it, or declare its GPUs",
    ),
    Route(
        "POST",
        f"{DEVICE}/gpus",
        DeviceManager.find_gpus,
        PIGLET,
        "device:update",
        result=DeviceReply,
        summary="Look again which GPUs a host has",
    ),
    Route(
        "DELETE",
        DEVICE,
        DeviceManager.remove,
        PIGLET,
        "device:delete",
        query=DeviceRemoval,
        result=RemovedDevice,
        summary="Remove a host; what runs there runs on",
    ),
]
FEEDS = [
    Feed("gpus", GpuManager.snapshot, GpuManager.frames, permission="gpu:read"),
    Feed("devices", DeviceFeed.snapshot, DeviceFeed.frames, permission="device:read"),
]
