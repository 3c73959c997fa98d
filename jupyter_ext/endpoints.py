"""Every route, socket and feed of the product: each room's table, put together."""

from __future__ import annotations

from .accounts import audit_routes, login_routes, quota_routes
from .accounts import routes as account_routes
from .api import docs
from .containers import matrix_routes as container_matrix_routes
from .containers import routes as container_routes
from .devices import matrix_routes as device_matrix_routes
from .devices import routes as device_routes
from .events import routes as event_routes
from .idle import routes as idle_routes
from .operations import routes as operation_routes
from .postgres import backup_routes
from .postgres import routes as database_routes
from .services import routes as service_routes
from .snapshots import routes as snapshot_routes
from .system import routes as system_routes
from .web import routes as web_routes

ROUTES = [
    *system_routes.ROUTES,
    *account_routes.ROUTES,
    *quota_routes.ROUTES,
    *audit_routes.ROUTES,
    *login_routes.ROUTES,
    *operation_routes.ROUTES,
    *event_routes.ROUTES,
    *container_routes.ROUTES,
    *container_matrix_routes.ROUTES,
    *web_routes.ROUTES,
    *idle_routes.ROUTES,
    *device_routes.ROUTES,
    *device_matrix_routes.ROUTES,
    *database_routes.ROUTES,
    *service_routes.ROUTES,
    *backup_routes.ROUTES,
    *snapshot_routes.ROUTES,
    *docs.ROUTES,
]
SOCKETS = [*container_routes.SOCKETS]
FEEDS = [
    *account_routes.FEEDS,
    *operation_routes.FEEDS,
    *event_routes.FEEDS,
    *container_routes.FEEDS,
    *device_routes.FEEDS,
    *database_routes.FEEDS,
    *service_routes.FEEDS,
    *backup_routes.FEEDS,
    *snapshot_routes.FEEDS,
]
