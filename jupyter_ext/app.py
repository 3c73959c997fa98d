"""The extension: its configuration, its role (desk or forwarder), its start and its stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp
from traitlets import (
    Bunch,
    Callable,
    Dict,
    Enum,
    Float,
    Int,
    List,
    TraitError,
    Type,
    Unicode,
    Union,
    default,
    validate,
)

from .api.services import Gate
from .api.switch import Switch
from .desk.address import check_proxy, own_url
from .desk.comeback import Comeback
from .desk.lock import DeskLock
from .desk.remote import RemoteDesk
from .errors import PlatformError, Unavailable

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from .api.switch import Handler
    from .assembly import Desk

PATHS = (
    r"/(?:api/v1(?:/.*)?|api/(?:login|register|logout|verify)/?|ws"
    r"|(?:containers|devices|images)(?:/.*)?)$"
)
"""What is ours below the base URL; everything else is Jupyter's."""


ADMIN = "admin"
"""Name of the first administrator, where no JupyterHub names the owner."""


class JupyterExt(ExtensionApp):
    """Containers, machines, databases and data sources for every user of this Jupyter server."""

    name = "jupyter_ext"
    extension_url = "/lab"
    load_other_extensions = True
    description = __doc__ or ""
    serverapp: ServerApp

    home = Unicode(
        help="Folder of all state "
        "(default: $JUPYTER_EXT_HOME, else jupyter_ext in Jupyter's data folder).",
    ).tag(config=True)
    store_url = Unicode(
        help="Database of the product itself: sqlite:////path/file or postgresql://user@host/name "
        "(default: SQLite in `home`).",
    ).tag(config=True)
    store_key = Unicode(
        help="Key that encrypts secrets in the store "
        "(default: $JUPYTER_EXT_STORE_KEY, else a file).",
    ).tag(config=True)
    store_key_file = Unicode(
        help="File with that key (default: $JUPYTER_EXT_STORE_KEY_FILE, else store.key beside "
        "SQLite's file). A PostgreSQL `store_url` needs one of them.",
    ).tag(config=True)
    admin_username = Unicode(
        help="Name of the first administrator (default: admin; on a JupyterHub user's own server "
        "that user).",
    ).tag(config=True)
    admin_password = Unicode(
        "",
        help="Password of the first administrator (default: random, shown once at first).",
    ).tag(config=True)
    registration = Enum(
        ["closed", "invite", "open"], "closed", help="Who may make an account of their own."
    ).tag(config=True)
    quotas = Dict(
        {"*": {"containers": 20, "machines": 5}},
        help="What a user may have by role, where `pig quota set` says nothing else: "
        '{"user": {"containers": 20, "cpu": 8, "memory": "16GB"}}, of containers, cpu (cores), '
        "memory, disk, gpus, databases, database_size (bytes of all of them together), machines, "
        "and of rules of time: idle_minutes, idle_warning_minutes, keep_minutes, "
        "lifetime_minutes; None is no limit, and * is every role but admin (default: 20 containers "
        "and 5 machines for *).",
    ).tag(config=True)
    password_length = Int(6, help="Characters that a new password must have at least.").tag(
        config=True
    )
    login_lifetime = Float(
        7 * 24 * 3600.0,
        help="Seconds that a login by password lives after it was last refreshed.",
    ).tag(config=True)
    desk_url = Unicode(
        "",
        help="Address of a desk (`jupyter ext serve`) that this server forwards to, base URL "
        "included. Empty: this server is the desk of its `home`, or forwards to the one that is.",
    ).tag(config=True)
    hub_group_roles = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Roles of the members of groups of the JupyterHub whose service this desk is, "
        '{"gpu-operators": "operator"}; of several the first one listed counts. '
        "The Hub's administrators are administrators, everybody else is a user.",
    ).tag(config=True)
    desk_key_file = Unicode(
        "",
        help="File with the owner's API key of the desk at `desk_url`, where no JupyterHub says "
        "who they are. Without one the panel has no credential there.",
    ).tag(config=True)
    rate_limits = Dict(
        help="Requests by dialect, overriding the documented ones: "
        '{"piglet": {"amount": 100, "seconds": 60, "burst": 20}}; amount 0 is unlimited.',
    ).tag(config=True)
    rate_limit_storage = Unicode(
        "memory://", help="Where requests are counted: memory:// or redis://host:port/db."
    ).tag(config=True)
    socket_limit = Int(
        10, help="WebSockets that a user with an API key may have open at once."
    ).tag(config=True)
    allowed_mounts = Union(
        [List(Unicode()), Callable()],
        default_value=None,
        allow_none=True,
        help="Folders of the host that containers may use, or a function of the account that "
        "returns them (default: the notebook root for administrators, and for everybody else "
        "their own folder below it).",
    ).tag(config=True)
    allowed_addresses = List(
        Unicode(),
        help="Hosts that users who are no administrators may name although they are loopback, "
        "link-local or metadata addresses: names, addresses and networks, each with a port or "
        "without (registry.lan, 127.0.0.1:5000, 169.254.0.0/16).",
    ).tag(config=True)
    upload_limit = Int(
        512 << 20,
        min=1,
        help="Bytes of a file that is sent in one request. ServerApp.max_body_size bounds it, too.",
    ).tag(config=True)
    uploads_at_once = Int(
        2,
        min=1,
        help="Files that an account may send at once; each lies on the disk until it is unpacked.",
    ).tag(config=True)
    audit_retention = Int(365, min=0, help="Days that the audit is kept; 0 keeps it for ever.").tag(
        config=True
    )
    docker_driver_class = Type(
        "jupyter_ext.containers.docker_driver.DockerDriver",
        klass="traitlets.config.Configurable",
        help="Driver of the container engine.",
    ).tag(config=True)
    gpu_driver_class = Type(
        "jupyter_ext.devices.nvml.Nvml",
        klass=object,
        help="Driver that tells which GPUs this machine has, and how busy they are.",
    ).tag(config=True)
    cluster_dir = Unicode(
        "",
        help="Folder of a disk of this machine in which users' databases lie "
        "(default: `home`; as root /var/lib/jupyter_ext).",
    ).tag(config=True)
    web_port = Int(
        0,
        min=0,
        max=65535,
        allow_none=True,
        help="Port at which containers' own web pages are served, each at a host name of its own; "
        "0 is any free one, None serves none.",
    ).tag(config=True)
    web_ip = Unicode(
        help="Address that this port is bound to (default: the one of ServerApp.ip).",
    ).tag(config=True)
    web_url = Unicode(
        "",
        help="Where browsers find containers' pages, if not at names below .localhost, which lead "
        "to their own machine: https://{name}.apps.example.org, of a domain that serves nothing "
        "else and whose every name leads to `web_port`.",
    ).tag(config=True)
    web_session_lifetime = Float(
        12 * 3600.0, min=60, help="Seconds that a container's page stays open in a browser."
    ).tag(config=True)
    event_history = Float(
        3600.0, help="Seconds that events are kept for clients that come back."
    ).tag(config=True)
    event_history_size = Int(
        10_000, help="Events that are kept for them, at most; of a thing's states only the newest."
    ).tag(config=True)

    @default("classes")
    def _default_classes(self) -> list[type]:
        from .containers.defaults import ContainerDefaults
        from .idle.settings import IdleThresholds
        from .postgres.backup_settings import BackupSettings
        from .postgres.settings import PostgresSettings
        from .services.settings import ServiceSettings
        from .snapshots.settings import SnapshotSettings

        return [
            ContainerDefaults,
            IdleThresholds,
            PostgresSettings,
            BackupSettings,
            SnapshotSettings,
            ServiceSettings,
            self.docker_driver_class,
        ]

    @default("home")
    def _default_home(self) -> str:
        return os.environ.get("JUPYTER_EXT_HOME") or str(Path(jupyter_data_dir()) / "jupyter_ext")

    @default("admin_username")
    def _default_admin(self) -> str:
        if not os.environ.get("JUPYTERHUB_USER"):
            # Asked before `_become_desk`, which knows how to import the rest quickly.
            return ADMIN
        from .accounts.hub import owner_name

        return owner_name(os.environ)

    @default("web_ip")
    def _default_web_ip(self) -> str:
        return "127.0.0.1" if self.serverapp.sock else self.serverapp.ip

    @validate("web_url")
    def _usable_web_url(self, proposal: Bunch) -> str:
        from .web.names import template_problem

        template: str = proposal["value"]
        if template and (problem := template_problem(template)):
            raise TraitError(f"JupyterExt.web_url {problem}: {template!r}.")
        return template

    @validate("allowed_addresses")
    def _readable_addresses(self, proposal: Bunch) -> list[str]:
        from .addresses import AddressGuard

        allowed: list[str] = proposal["value"]
        try:
            AddressGuard(allowed)
        except ValueError as error:
            raise TraitError(f"JupyterExt.allowed_addresses: {error}.") from None
        return allowed

    @validate("rate_limits")
    def _possible_limits(self, proposal: Bunch) -> dict[str, Any]:
        # Imported by whoever configures them only: a server that forwards counts nothing.
        from .api.dialects import DIALECTS
        from .api.limits import merged_limits

        limits: dict[str, Any] = proposal["value"]
        try:
            merged_limits(limits, DIALECTS)
        except ValueError as error:
            raise TraitError(f"JupyterExt.{error}.") from None
        return limits

    @validate("rate_limit_storage")
    def _possible_storage(self, proposal: Bunch) -> str:
        from .api.limits import checked_storage

        try:
            return checked_storage(proposal["value"])
        except ValueError as error:
            raise TraitError(f"JupyterExt.{error}.") from None

    @validate("quotas")
    def _valid_quotas(self, proposal: Bunch) -> dict[str, dict[str, int | float | str | None]]:
        from .accounts.quota_schemas import parse_defaults

        try:
            parse_defaults(proposal.value)
        except ValueError as error:
            raise TraitError(f"JupyterExt.quotas: {error}") from None
        return dict(proposal.value)

    # -- what Jupyter calls ------------------------------------------------------------------------

    # As JupyterApp has it, not traitlets' Application.
    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        """Read the product's own file, then Jupyter's, which count more."""
        from .settings_file import BadSettings, SettingsFile

        try:
            file = SettingsFile.read(None, os.environ)
            for name in file.unknown():
                self.log.warning("%s: %s means nothing", file.path, name)
            self.update_config(file.traits())
            if level := file.log_level():
                logging.getLogger("jupyter_ext").setLevel(level)
        except BadSettings as error:
            raise TraitError(str(error)) from None
        super().load_config_file(suppress_errors)

    def initialize_settings(self) -> None:
        """Decide who is the desk, before anything of it is built."""
        # What the rooms of the house log goes where Jupyter's own log goes.
        logging.getLogger("jupyter_ext").parent = self.serverapp.log
        self.comeback = Comeback(self.serverapp)
        self._home_folder = Path(self.home).expanduser().absolute()
        self._gate = Gate()
        self._switch = Switch(self.serverapp.web_app)
        self._lock = DeskLock(self._home_folder)
        self._desk: Desk | None = None
        self._remote: RemoteDesk | None = None
        self._starting: asyncio.Task[None] | None = None
        if self.desk_url:
            self._forward(RemoteDesk(home=None, url=self.desk_url, key_file=self.desk_key_file))
        else:
            self._take_or_forward()

    def initialize_handlers(self) -> None:
        """Register the one router of all our paths."""
        root = self.serverapp.web_app.settings["base_url"].rstrip("/")
        handlers = [(re.escape(root) + PATHS, self._switch)]
        self.serverapp.web_app.add_handlers(".*$", handlers)  # type: ignore[no-untyped-call]
        # Not every host of the server calls the start hook below (test harnesses don't).
        self.serverapp.io_loop.add_callback(self._begin)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        """Wait for the start, so that its messages stand before Jupyter's address."""
        await self._begin()

    async def stop_extension(self) -> None:
        """Let go in order. It may never be called, and nothing relies on it."""
        if self._starting is not None:
            self._starting.cancel()
        if self._desk is not None:
            await self._desk.stop()
        if self._remote is not None:
            await self._remote.close()
        self._lock.release()

    # -- roles -------------------------------------------------------------------------------------

    def _take_or_forward(self) -> None:
        if self._lock.acquire():
            self._become_desk()
        else:
            self._forward(RemoteDesk(home=self._home_folder, lost=self._succeed))

    def _become_desk(self) -> None:
        # What is imported stays; looking through it for garbage again and again takes a quarter of
        # the time, now and at each later search.
        gc.disable()
        try:
            from .assembly import Desk
        finally:
            gc.freeze()
            gc.enable()

        self._desk = Desk(self, self._home_folder, self._gate)
        self._answer_with(self._desk.handlers())

    def _forward(self, remote: RemoteDesk) -> None:
        from .desk.forward import handlers_for

        self._remote = remote
        self._answer_with(handlers_for(remote))

    def _answer_with(self, handlers: list[Handler]) -> None:
        root = re.escape(self.serverapp.web_app.settings["base_url"].rstrip("/"))
        self._switch.set((root + pattern + "$", kind, kwargs) for pattern, kind, kwargs in handlers)

    async def _succeed(self) -> None:
        """Become the desk where the old one has ended."""
        if self._desk is None and self._lock.acquire():
            self.log.info("The desk of %s has ended; this server takes its place.", self.home)
            remote, self._remote = self._remote, None
            self._become_desk()
            self._starting = None
            await self._begin()
            if remote is not None:
                await remote.close()

    async def _begin(self) -> None:
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        await self._starting

    async def _start(self) -> None:
        url = own_url(self.serverapp)
        check_proxy(self.serverapp)
        if self._remote is not None:
            self.log.info("jupyter_ext forwards to the desk at %s", self._remote.url)
            os.environ["JUPYTER_EXT_URL"] = url
            if token_file := self._remote.kernels_file(Path(self.serverapp.runtime_dir)):
                os.environ["JUPYTER_EXT_TOKEN_FILE"] = token_file
            return
        if self._desk is None:
            return
        try:
            await self._desk.start()
        except PlatformError as error:
            self.log.error("jupyter_ext can't start: %s", error.message)
            self._gate.fail(error)
            return
        except Exception:
            self.log.exception("jupyter_ext can't start")
            self._gate.fail(Unavailable("The server could not start.", "Its log says why."))
            return
        self._lock.announce(url, self._desk.token_file)
        os.environ["JUPYTER_EXT_URL"] = url
        os.environ["JUPYTER_EXT_TOKEN_FILE"] = str(self._desk.token_file)
        self._gate.open()
