"""How operators choose what runs beside the server."""

from __future__ import annotations

from traitlets import Bunch, Float, List, TraitError, Unicode, validate
from traitlets.config import Configurable


class ServiceSettings(Configurable):
    """Services beside the server."""

    vscode_command = List(
        Unicode(),
        [
            "code-server",
            "--auth=password",
            "--bind-addr=127.0.0.1:{port}",
            "--trusted-origins=localhost:{port}",
            "--disable-telemetry",
            "--disable-update-check",
            ".",
        ],
        help="Program of the service vscode and its arguments; {port} is the port of 127.0.0.1 at "
        "which it has to listen. It gets $HASHED_PASSWORD, and whoever opens it by the panel sends "
        "the same text as the cookie code-server-session.",
    ).tag(config=True)

    vscode_folder = Unicode(
        "",
        help="Folder in which it starts (default: the notebook root).",
    ).tag(config=True)

    vscode_start_seconds = Float(
        45.0,
        min=1,
        max=3600,
        help="Seconds that the service vscode has until it listens; then it is ended, and started "
        "again later.",
    ).tag(config=True)

    systemd_units = List(
        Unicode(),
        help="Units of systemd that are listed as services too, and started and stopped by "
        'administrators: ["grafana-server.service"].',
    ).tag(config=True)

    warning_seconds = Float(
        5.0,
        min=0,
        max=600,
        help="Seconds between the warning that the server stops or restarts, and its doing so.",
    ).tag(config=True)

    @validate("systemd_units")
    def _usable_units(self, proposal: Bunch) -> list[str]:
        from .systemd import unit_name

        units: list[str] = proposal["value"]
        for unit in units:
            try:
                unit_name(unit)
            except ValueError as error:
                raise TraitError(f"ServiceSettings.systemd_units: {error}.") from None
        return units
