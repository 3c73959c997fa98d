"""Processes that the server supervises, lives in, or that systemd runs for it."""
