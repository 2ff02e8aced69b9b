"""The one place where the time of day is read."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Unix seconds, as leases are kept in."""
    return time.time()


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_utc(moment: datetime) -> datetime:
    """A stored moment in UTC. SQLite forgets the zone of what it keeps; it was UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC)


def from_unix(seconds: float) -> datetime:
    """Unix seconds as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def format_iso(moment: datetime | None) -> str | None:
    """ISO-8601 in UTC."""
    return None if moment is None else to_utc(moment).isoformat().replace("+00:00", "Z")
