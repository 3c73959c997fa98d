"""Containers that nobody uses: warned of, then stopped, as the rules of their owners say."""
