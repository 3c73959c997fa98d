"""Routes of containers and images."""

from __future__ import annotations

from typing import Annotated

from ..api.dialects import CONTAINERS
from ..api.route import Change, Feed, Page, Route, SocketRoute, Stream
from ..events.topics import TOPICS
from . import views
from .building import ImageBuilder, NewBuild
from .connections import ContainerConnections
from .contents import ContainerContents
from .engine_watch import EngineWatch
from .image_sharing import ImageSharing
from .images import ImageManager
from .manager import ContainerManager
from .replies import Changes, Connection, Logs, Metrics, Removed, ShareItem, Unpacked
from .saving import ImageSaver, NewImage
from .schemas import (
    ConnectionQuery,
    ContainerChange,
    ContainerQuery,
    DeleteQuery,
    ExecQuery,
    ImageDeleteQuery,
    LogsQuery,
    MetricsQuery,
    NewContainer,
    PageQuery,
    PathQuery,
    PullBody,
    StopOptions,
)
from .usage import ContainerUsage
from .views import Container, Image

ALL = "/api/v1/containers"
ONE = "/api/v1/containers/{ref}"
SHARES = "/api/v1/images/{ref}/shares"

ROUTES = [
    Route(
        "GET",
        ALL,
        ContainerManager.list,
        CONTAINERS,
        "container:read",
        query=ContainerQuery,
        result=Page[Container],
        view=views.container,
        summary="Containers, newest first",
    ),
    Route(
        "POST",
        ALL,
        ContainerManager.create,
        CONTAINERS,
        "container:create",
        begun=ContainerManager.made,
        body=NewContainer,
        result=Container,
        view=views.detail,
        summary="Make a container and start it",
    ),
    Route(
        "GET",
        ONE,
        ContainerManager.get,
        CONTAINERS,
        "container:read",
        result=Container,
        view=views.detail,
        summary="All of a container",
    ),
    Route(
        "PUT",
        ONE,
        ContainerManager.update,
        CONTAINERS,
        "container:update",
        body=ContainerChange,
        result=Container,
        view=views.detail,
        summary="Change its name, limits or restart policy",
    ),
    Route(
        "DELETE",
        ONE,
        ContainerManager.delete,
        CONTAINERS,
        "container:delete",
        query=DeleteQuery,
        result=Removed,
        summary="Delete it",
    ),
    Route(
        "POST",
        f"{ONE}/start",
        ContainerManager.start,
        CONTAINERS,
        "container:start",
        result=Change[Container],
        view=views.detail,
        summary="Start it",
    ),
    Route(
        "POST",
        f"{ONE}/stop",
        ContainerManager.stop,
        CONTAINERS,
        "container:stop",
        query=StopOptions,
        body=StopOptions,
        result=Change[Container],
        view=views.detail,
        summary="Stop it",
    ),
    Route(
        "POST",
        f"{ONE}/restart",
        ContainerManager.restart,
        CONTAINERS,
        "container:restart",
        query=StopOptions,
        body=StopOptions,
        result=Change[Container],
        view=views.detail,
        summary="Stop and start it",
    ),
    Route(
        "GET",
        f"{ONE}/logs",
        ContainerContents.logs,
        CONTAINERS,
        "container:read",
        query=LogsQuery,
        result=Logs | Stream,
        summary="What it printed",
    ),
    Route(
        "GET",
        f"{ONE}/changes",
        ContainerContents.changes,
        CONTAINERS,
        "container:read",
        result=Changes,
        summary="Files that differ from its image",
    ),
    Route(
        "GET",
        f"{ONE}/connection",
        ContainerConnections.show,
        CONTAINERS,
        "container:exec",
        query=ConnectionQuery,
        result=Connection,
        summary="Ports and password of its ssh, JupyterLab and TensorBoard",
    ),
    Route(
        "POST",
        f"{ONE}/commit",
        ImageSaver.save,
        CONTAINERS,
        "image:create",
        begun=ImageManager.made,
        body=NewImage,
        result=Image,
        view=views.image,
        summary="Save it as an image",
    ),
    Route(
        "GET",
        f"{ONE}/archive",
        ContainerContents.read_archive,
        CONTAINERS,
        "container:read",
        query=PathQuery,
        result=Annotated[Stream, "application/x-tar"],
        summary="A file or folder of it, as tar",
    ),
    Route(
        "PUT",
        f"{ONE}/archive",
        ContainerContents.write_archive,
        CONTAINERS,
        "container:write",
        query=PathQuery,
        upload="application/x-tar",
        result=Unpacked,
        summary="Unpack a tar into a folder of it",
    ),
    Route(
        "GET",
        "/api/v1/metrics/containers/{ref}",
        ContainerUsage.metrics,
        CONTAINERS,
        "metrics:read",
        query=MetricsQuery,
        result=Metrics,
        summary="What it uses, and used",
    ),
    Route(
        "GET",
        "/api/v1/images",
        ImageManager.list,
        CONTAINERS,
        "image:read",
        query=PageQuery,
        result=Page[Image],
        view=views.image,
        summary="Public images, the caller's own and those shared with them, newest first",
    ),
    Route(
        "POST",
        "/api/v1/images/pull",
        ImageManager.pull,
        CONTAINERS,
        "image:pull",
        begun=ImageManager.made,
        body=PullBody,
        result=Image,
        view=views.image,
        summary="Pull an image",
    ),
    Route(
        "POST",
        "/api/v1/images/build",
        ImageBuilder.build,
        CONTAINERS,
        "image:build",
        begun=ImageManager.made,
        body=NewBuild,
        result=Image,
        view=views.image,
        summary="Build the notebook image, which is number 1",
    ),
    Route(
        "DELETE",
        "/api/v1/images/{ref}",
        ImageManager.delete,
        CONTAINERS,
        "image:delete",
        query=ImageDeleteQuery,
        result=Removed,
        summary="Delete an image",
    ),
    Route(
        "GET",
        SHARES,
        ImageSharing.list,
        CONTAINERS,
        "image:read",
        result=Page[ShareItem],
        summary="Users whom it is shared with",
    ),
    Route(
        "PUT",
        f"{SHARES}/{{username}}",
        ImageSharing.add,
        CONTAINERS,
        "image:share",
        result=Image,
        view=views.image,
        summary="Let a user see it and run it",
    ),
    Route(
        "DELETE",
        f"{SHARES}/{{username}}",
        ImageSharing.remove,
        CONTAINERS,
        "image:share",
        result=Image,
        view=views.image,
        summary="Take it back from a user; what they started of it goes on",
    ),
]

SOCKETS = [
    SocketRoute(
        f"{ONE}/exec",
        ContainerContents.exec,
        CONTAINERS,
        "container:exec",
        query=ExecQuery,
        summary="A terminal in it",
    ),
]

FEEDS = [
    Feed("containers", ContainerManager.snapshot, permission=TOPICS["containers"]),
    Feed("images", ImageManager.snapshot, permission=TOPICS["images"]),
    Feed("engine", EngineWatch.snapshot, permission=TOPICS["engine"]),
    Feed(
        "container-logs",
        ContainerContents.log_snapshot,
        ContainerContents.log_frames,
        permission="container:read",
    ),
    Feed(
        "container-stats",
        ContainerUsage.snapshot,
        ContainerUsage.frames,
        permission=TOPICS["container-stats"],
    ),
]
