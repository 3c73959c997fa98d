"""The desk: every manager of the house, made once, started in order, stopped in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jupyter_server.auth import User

from .accounts.api_keys import ApiKeyManager
from .accounts.audit import AuditManager
from .accounts.departures import DepartureManager
from .accounts.directory import Directory
from .accounts.hub import HubUsers
from .accounts.login_journal import LoginJournal
from .accounts.logins import LoginManager
from .accounts.manager import AccountManager
from .accounts.passwords import Passwords
from .accounts.permissions import allowed
from .accounts.quota_ledger import QuotaLedger
from .accounts.quota_schemas import parse_defaults
from .accounts.quotas import QuotaManager
from .accounts.registration import RegistrationManager
from .accounts.roles import RoleManager
from .accounts.schemas import Account
from .accounts.sessions import Sessions
from .accounts.throttle import LoginThrottle
from .accounts.users import UserManager
from .addresses import AddressGuard
from .api import docs
from .api.application import handlers_for, sockets_for
from .api.authentication import Authenticator
from .api.dialects import DIALECTS
from .api.limits import RateLimiter
from .api.services import Gate, Services
from .api.socket import SocketCounter
from .api.switch import Handler
from .api.uploads import UploadCounter
from .containers.defaults import ContainerDefaults
from .containers.service import ContainerService
from .desk.lock import write_private
from .desk.no_files import NoFiles
from .devices.gpus import GpuManager
from .devices.live import DeviceFeed
from .devices.manager import DeviceManager
from .devices.matrix import MatrixDevices
from .devices.watch import GpuDriver, GpuWatch
from .endpoints import FEEDS, ROUTES, SOCKETS
from .errors import Forbidden, InvalidRequest, PlatformError
from .events.bus import Bus
from .events.manager import EventManager
from .events.topics import TOPICS
from .idle.service import IdleService
from .idle.settings import IdleThresholds
from .measuring import sources
from .operations.manager import Operations
from .postgres.backup_settings import BackupSettings
from .postgres.service import PostgresService
from .postgres.settings import PostgresSettings
from .services.room import ServiceRoom
from .services.settings import ServiceSettings
from .snapshots.service import SnapshotService
from .snapshots.settings import SnapshotSettings
from .store.database import Store
from .store.leases import ServerLease
from .system.loop_lag import LoopLag
from .system.manager import SystemManager
from .system.metrics import MetricsManager
from .web.listener import Listener, tls_options
from .web.manager import PageManager
from .web.names import Names

if TYPE_CHECKING:
    from .app import JupyterExt

LOCAL_KEY_LIFE = timedelta(hours=2)
"""Of the key that kernels and the local command line read from a file."""
LOCAL_KEY_RENEWAL = timedelta(minutes=30)

_log = logging.getLogger(__name__)


class Desk:
    """Everything that one process owns for all: engines, store, keys, long work.

    Parameters
    ----------
    app
        Whose configuration counts.
    home
        Folder of all state.
    gate
        Held shut until the store is open.
    """

    def __init__(self, app: JupyterExt, home: Path, gate: Gate) -> None:
        self._app = app
        self._home = home
        self._gate = gate
        self._rotation: asyncio.Task[None] | None = None
        self.token_file = home / "token"
        self.store = Store(
            app.store_url or f"sqlite:///{home / 'store.db'}",
            key=app.store_key or None,
            key_file=Path(app.store_key_file) if app.store_key_file else None,
        )
        self.bus = Bus(retention=app.event_history, history=app.event_history_size)
        self.lease = ServerLease(self.store)
        self.operations = Operations(self.store, self.bus, self.lease)
        passwords = Passwords(app.password_length)
        self.accounts = AccountManager(
            self.store,
            admin_username=app.admin_username,
            admin_password=app.admin_password or None,
            passwords=passwords,
        )
        self.users = UserManager(self.store, self.bus, passwords, app.admin_username)
        self.departures = DepartureManager(self.store, self.bus, app.admin_username)
        self.roles = RoleManager(self.store)
        self.keys = ApiKeyManager(self.store)
        self.hub = self._hub_users()
        self.guard = AddressGuard(app.allowed_addresses)
        ledger = QuotaLedger(self.store, parse_defaults(app.quotas))
        self.quotas = QuotaManager(self.store, ledger)
        self.audit = AuditManager(self.store, timedelta(days=app.audit_retention) or None)
        self.operations.on_end(self.audit.operation_ended)
        self.sessions = Sessions(self.store)
        self.limits = RateLimiter(app.rate_limits, app.rate_limit_storage, DIALECTS)
        throttle = LoginThrottle(self.limits)
        self.journal = LoginJournal(self.audit, Directory(self.store))
        self.logins = LoginManager(
            self.accounts, self.sessions, throttle, self.journal, lifetime=app.login_lifetime
        )
        self.containers = ContainerService(
            self.store,
            self.bus,
            self.operations,
            self.accounts,
            self.lease,
            app.docker_driver_class(parent=app),
            notebook_root=Path(app.serverapp.root_dir),
            home=home,
            allowed_mounts=app.allowed_mounts,
            defaults=ContainerDefaults(parent=app),
            guard=self.guard,
            quotas=ledger,
            make_driver=lambda address: app.docker_driver_class(parent=app).at(address),
        )
        gpus = cast("type[GpuDriver]", app.gpu_driver_class)()
        self.gpu_watch = GpuWatch(self.store, self.containers.devices, gpus)
        self.containers.usage.measure_gpus = self.gpu_watch.measures
        self.gpus = GpuManager(
            self.store,
            self.gpu_watch,
            self.containers.people,
            lambda engine_id: self.containers.registry.by_engine.get(engine_id),
        )
        self.idle = IdleService(
            self.store,
            self.bus,
            self.lease,
            ledger.limits,
            self.containers,
            self.gpu_watch,
            IdleThresholds(parent=app),
        )
        self.postgres = PostgresService(
            self.store,
            self.bus,
            self.operations,
            self.containers.people,
            ledger,
            PostgresSettings(parent=app),
            BackupSettings(parent=app),
            home=home,
            folder=app.cluster_dir,
        )
        self.snapshots = SnapshotService(
            self.store,
            self.bus,
            self.operations,
            self.containers,
            self.postgres,
            SnapshotSettings(parent=app),
            notebook_root=None if _without_files(app) else Path(app.serverapp.root_dir),
            home=home,
            folder=app.cluster_dir,
        )
        self.rooms = ServiceRoom(
            ServiceSettings(parent=app),
            self.bus,
            self.postgres,
            app.comeback,
            app.serverapp.log,
            home=home,
            notebooks=Path(app.serverapp.root_dir),
        )
        names = Names(app.web_url)
        self.pages = PageManager(
            self.store,
            self.containers.doors,
            names,
            app.web_session_lifetime,
            {"vscode": self.rooms.editor_door},
        )
        self.listener = self._page_listener(names)
        self.users.databases = self.postgres.access
        self.registration = RegistrationManager(
            self.store,
            passwords,
            self.logins,
            throttle,
            self.journal,
            app.registration,
            self.containers.awaits,
        )
        # First: their images are containers' belongings, too.
        self.departures.add_belongings(self.snapshots.manager)
        self.departures.add_belongings(self.containers.belongings)
        self.departures.add_belongings(self.postgres.access)
        self.departures.on_departure(self.postgres.access.forget)
        self.departures.on_departure(self.snapshots.forget)
        self.departures.add_belongings(self.operations)
        self.system = SystemManager(
            home,
            {
                "docker": self.containers.probe,
                **self.rooms.probes,
                "store": self.lease.probe,
                "backups": self.postgres.archiving.probe,
                "snapshots": self.snapshots.probe,
                "pages": self.listener.probe if self.listener else lambda: ("off", None),
            },
            self.gpu_watch.measures,
        )
        self.loop_lag = LoopLag()
        self.metrics = MetricsManager(sources(self))
        self.events = EventManager(self.bus, TOPICS)
        self.reference = docs.Reference(app.serverapp.base_url)
        self.services = Services(
            gate=gate,
            authenticator=Authenticator(self.keys, self.sessions, self._jupyter_account, self.hub),
            limits=self.limits,
            sockets=SocketCounter(app.socket_limit),
            idempotency=self.operations.keys,
            allowed=allowed,
            uploads=UploadCounter(
                min(app.upload_limit, app.serverapp.max_body_size), app.uploads_at_once
            ),
            audit=self.audit,
        )

    # -- what it answers ---------------------------------------------------------------------------

    def handlers(self) -> list[Handler]:
        """Return the handlers of every route, WebSockets first."""
        devices = DeviceManager(
            self.store,
            self.containers.devices,
            self.containers.hosts,
            lambda: self.containers.defaults.bind_address,
        )
        managers = [
            self.system,
            self.metrics,
            self.users,
            self.departures,
            self.roles,
            self.keys,
            self.quotas,
            self.audit,
            self.logins,
            self.registration,
            self.operations,
            self.events,
            self.reference,
            *self.containers.managers,
            self.idle.manager,
            self.gpus,
            self.postgres.databases,
            self.postgres.maker,
            self.rooms.manager,
            self.postgres.backups,
            self.postgres.restores,
            self.postgres.sides,
            self.snapshots.manager,
            self.snapshots.restores,
            self.pages,
            devices,
            DeviceFeed(devices),
            MatrixDevices(
                self.store, self.containers.devices, self.containers.engines.bind_address
            ),
        ]
        self.reference.routes = ROUTES
        return [
            *sockets_for(SOCKETS, FEEDS, managers, self.services, self.bus),
            *handlers_for(ROUTES, managers, self.services),
        ]

    async def _jupyter_account(self, user: User) -> Account:
        """Map a Jupyter login: on a single-user server everybody who can log in is its owner."""
        hub_token = getattr(user, "hub_token", None)
        if hub_token is None:
            return await self.accounts.owner()
        found = (await self.hub.verify(hub_token)).account if self.hub else None
        if found is None:
            raise Forbidden("This desk is not told who JupyterHub's users are.")
        return found

    def _hub_users(self) -> HubUsers | None:
        """Return who knows the users of a JupyterHub, on a desk that is its service."""
        url = os.environ.get("JUPYTERHUB_API_URL")
        service = os.environ.get("JUPYTERHUB_SERVICE_NAME")
        if not (url and service):
            return None
        roles = self._app.hub_group_roles
        return HubUsers(self.accounts, api_url=url, service=service, group_roles=roles)

    def _page_listener(self, names: Names) -> Listener | None:
        """Return who serves containers' pages, where that is on."""
        server, port = self._app.serverapp, self._app.web_port
        if port is None:
            return None
        tls = tls_options(server.ssl_options, server.certfile, server.keyfile)
        return Listener(
            self.pages,
            address=self._app.web_ip,
            port=port,
            ssl_options=tls,
            secure=names.template.startswith("https") if names.template else tls is not None,
            body_limit=min(self._app.upload_limit, server.max_body_size),
            trust_proxy=server.trust_xheaders,
            audit=self.audit,
        )

    # -- life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store, finish what a crash left behind, and begin to watch the engine.

        Raises
        ------
        PlatformError
            The store can't be opened.
        """
        if self.hub is not None and self._app.registration != "closed":
            raise InvalidRequest(
                fields={
                    "JupyterExt.registration": f"can't be {self._app.registration} beside a "
                    "JupyterHub: whoever takes the name of one of its users would have their "
                    "things, and their role"
                }
            )
        await self.store.open()
        await self.lease.start()
        await self.accounts.start()
        if self.accounts.first_password:
            _log.warning(
                "The first administrator is %r, password %s. This is shown only once.",
                self._app.admin_username,
                self.accounts.first_password,
            )
        await self.keys.start()
        await self.quotas.start()
        await self.audit.start()
        await self._write_token()
        self._rotation = asyncio.create_task(self._rotate_token())
        await self.containers.start()
        if self.containers.local:
            self.gpu_watch.start()
        if self.listener is not None:
            self.listener.start()
        self.idle.start()
        self.postgres.start()
        await self.rooms.start()
        self.loop_lag.start()
        await self.operations.resume()
        self.snapshots.start()

    async def stop(self) -> None:
        """Let go, in reverse."""
        if self._rotation is not None:
            self._rotation.cancel()
        if self.listener is not None:
            await self.listener.stop()
        await self.loop_lag.stop()
        await self.snapshots.stop()
        await self.rooms.stop()
        await self.postgres.stop()
        await self.idle.stop()
        await self.gpu_watch.stop()
        await self.containers.stop()
        await self.operations.stop()
        self.guard.close()
        # Whoever listens hears how the work ended, and then the end.
        self.bus.close()
        await self.keys.stop()
        await self.journal.stop()
        await self.audit.stop()
        await self.accounts.stop()
        await self.lease.stop()
        await self.limits.close()
        if self.hub is not None:
            await self.hub.close()
        await self.store.close()
        with suppress(FileNotFoundError):
            self.token_file.unlink()

    async def _write_token(self) -> None:
        owner = await self.accounts.owner()
        key = await self.keys.issue_local(owner, LOCAL_KEY_LIFE.total_seconds())
        write_private(self.token_file, key)

    async def _rotate_token(self) -> None:
        while True:
            await asyncio.sleep(LOCAL_KEY_RENEWAL.total_seconds())
            try:
                await self._write_token()
            except (PlatformError, OSError) as error:
                _log.warning("The key of kernels could not be renewed: %s", error)


def _without_files(app: JupyterExt) -> bool:
    return issubclass(app.serverapp.contents_manager_class, NoFiles)
