"""Routes of containers and images in dialect `matrix`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..api.dialects import MATRIX
from ..api.route import Route
from .matrix import MatrixCommand, MatrixContainer, MatrixContainers, MatrixImage

Numbers = dict[str, list[int]]
Facts = dict[str, Any]

CREATE = Route(
    "POST",
    "/containers",
    MatrixContainers.create,
    MATRIX,
    "container:create",
    begun=MatrixContainers.created,
    body=MatrixContainer,
    result=Facts,
    summary="Make a container of an image, with ssh, JupyterLab and TensorBoard",
)
SAVE = Route(
    "POST",
    "/images",
    MatrixContainers.save,
    MATRIX,
    "image:create",
    begun=MatrixContainers.saved,
    body=MatrixImage,
    result=Facts,
    summary="Save a container as an image",
)
DELETE_IMAGE = Route(
    "DELETE",
    "/images/{iid}",
    MatrixContainers.delete_image,
    MATRIX,
    "image:delete",
    result=Facts,
    summary="Delete an image",
)

ROUTES = [
    Route(
        "GET",
        "/containers",
        MatrixContainers.numbers,
        MATRIX,
        "container:read",
        result=Numbers,
        summary="The caller's containers",
    ),
    CREATE,
    replace(CREATE, path="/containers/create"),
    Route(
        "GET",
        "/containers/status/{cid}",
        MatrixContainers.status,
        MATRIX,
        "container:read",
        result=dict[str, str],
        summary="Whether it runs",
    ),
    Route(
        "GET",
        "/containers/property/{cid}",
        MatrixContainers.facts,
        MATRIX,
        "container:read",
        may=True,
        result=Facts,
        summary="How to get into it, and what it has",
    ),
    Route(
        "PUT",
        "/containers/{cid}",
        MatrixContainers.command,
        MATRIX,
        "container:start",
        body=MatrixCommand,
        may=True,
        result=Facts,
        summary="Start or stop it",
    ),
    Route(
        "DELETE",
        "/containers/{cid}",
        MatrixContainers.delete,
        MATRIX,
        "container:delete",
        result=Facts,
        summary="Stop and delete it",
    ),
    Route(
        "GET",
        "/images",
        MatrixContainers.own_images,
        MATRIX,
        "image:read",
        result=Numbers,
        summary="Images that the caller made",
    ),
    Route(
        "GET",
        "/images/public",
        MatrixContainers.public_images,
        MATRIX,
        "image:read",
        result=Numbers,
        summary="Everybody's images",
    ),
    Route(
        "GET",
        "/images/property/{iid}",
        MatrixContainers.image_facts,
        MATRIX,
        "image:read",
        result=Facts,
        summary="An image",
    ),
    Route(
        "GET",
        "/images/on/{did}",
        MatrixContainers.images_on,
        MATRIX,
        "image:read",
        result=Numbers,
        summary="Images that can run on a device",
    ),
    SAVE,
    replace(SAVE, path="/images/create"),
    DELETE_IMAGE,
    replace(DELETE_IMAGE, method="POST", path="/images/delete/{iid}"),
]
