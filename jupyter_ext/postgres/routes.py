"""Routes of databases."""

from __future__ import annotations

from ..api.dialects import PIGLET
from ..api.route import Feed, Page, Route
from .databases import DatabaseManager
from .making import DatabaseMaker
from .schemas import (
    Database,
    DatabaseClone,
    DatabaseConnection,
    DatabaseDeletion,
    DatabaseQuery,
    DeletedDatabase,
    NewDatabase,
)

ALL = "/api/v1/databases"
ONE = f"{ALL}/{{name}}"

ROUTES = [
    Route(
        "GET",
        ALL,
        DatabaseManager.list,
        PIGLET,
        "database:read",
        query=DatabaseQuery,
        result=Page[Database],
        summary="Databases and how large they are",
    ),
    Route(
        "POST",
        ALL,
        DatabaseMaker.create,
        PIGLET,
        "database:create",
        begun=DatabaseMaker.begun,
        body=NewDatabase,
        result=Database,
        status=201,
        summary="Make a database",
    ),
    Route(
        "GET",
        ONE,
        DatabaseManager.get,
        PIGLET,
        "database:read",
        result=Database,
        summary="One database",
    ),
    Route(
        "GET",
        f"{ONE}/connection",
        DatabaseManager.connection,
        PIGLET,
        "database:connect",
        result=DatabaseConnection,
        summary="Address, role and password by which the caller connects to a database",
    ),
    Route(
        "POST",
        f"{ONE}/clone",
        DatabaseMaker.clone,
        PIGLET,
        "database:create",
        begun=DatabaseMaker.begun,
        body=DatabaseClone,
        result=Database,
        status=201,
        summary="Make a database with the content of another",
    ),
    Route(
        "DELETE",
        ONE,
        DatabaseManager.delete,
        PIGLET,
        "database:delete",
        query=DatabaseDeletion,
        result=DeletedDatabase,
        summary="Delete a database",
    ),
]
FEEDS = [Feed("databases", DatabaseManager.feed, permission="database:read")]
