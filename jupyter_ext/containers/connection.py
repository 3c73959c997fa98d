"""How its owner gets into a container: three ports, and one password for all of them."""

from __future__ import annotations

import secrets
import string

SSH, JUPYTER, TENSORBOARD = "22/tcp", "8888/tcp", "6006/tcp"
WAYS_IN = (SSH, JUPYTER, TENSORBOARD)
"""Where a container that one can get into listens."""

ROOT, USER = "root", "jupyter"
"""Whom ssh lets in: as a user where the container does not run as root."""

PASSWORD_VARIABLE = "JUPYTER_EXT_PASSWORD"  # noqa: S105 - the variable's name
"""What tells a container its password: ssh's, and the token of its JupyterLab."""

NOTEBOOK = "notebook"
"""The mark of images that listen there and take the password; those saved of them inherit it."""

PASSWORD_LENGTH = 16
_LETTERS = string.ascii_letters + string.digits


def login(user: str) -> str:
    """Return the name to log in by; `user` is whom the container runs as, in the engine's words."""
    return ROOT if user.partition(":")[0] in ("", "0", ROOT) else USER


def new_password() -> str:
    """Return 16 random letters and digits, 95 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(PASSWORD_LENGTH))
