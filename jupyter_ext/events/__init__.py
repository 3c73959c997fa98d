"""One bus for everything that changes, and its history for clients that come back."""

from __future__ import annotations

from .bus import Bus, Event, Overflow, Subscription

__all__ = ["Bus", "Event", "Overflow", "Subscription"]
