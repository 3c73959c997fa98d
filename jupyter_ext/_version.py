"""The version: the one place it is written in, for pyproject.toml and the panel."""

__version__ = "0.1.0"
