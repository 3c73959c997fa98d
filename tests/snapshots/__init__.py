"""Snapshots, with real restic, PostgreSQL, pgBackRest and Docker."""
