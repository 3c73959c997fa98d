"""What each session of the product's own begins with, whatever users set for theirs."""

from __future__ import annotations

from collections.abc import Mapping

SAFE: Mapping[str, str] = {
    "application_name": "jupyter_ext",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
}

# Nothing that a user made may be found by a name that the superuser says.
# Its owner may set more for all who enter a database: what could stop the superuser there.
_OPTIONS = (
    "-c search_path=pg_catalog -c role=none -c default_transaction_read_only=off "
    "-c local_preload_libraries= -c lock_timeout=30s -c idle_in_transaction_session_timeout=60s"
)

# What users set for a database or for themselves, by the first version that knows it: an older one
# lets nobody in who names it.
_ENDINGS = {"statement_timeout": 0, "idle_session_timeout": 14, "transaction_timeout": 17}


def safely(conninfo: Mapping[str, str], version: int) -> dict[str, str]:
    """Return how to connect to a server so that nothing that users made gets in the way.

    Parameters
    ----------
    version
        The major one of the server; 0: not known yet.
    """
    # What the operator's own URL says comes last, and decides.
    said = (_OPTIONS, endless(version), conninfo.get("options", ""))
    return {**SAFE, **conninfo, "options": " ".join(filter(None, said))}


def endless(version: int) -> str:
    """Return the options of a session that no setting of a database or a role ends.

    Parameters
    ----------
    version
        The major one of the server.
    """
    known = (name for name, since in _ENDINGS.items() if since <= version)
    return " ".join(f"-c {name}=0" for name in known)
