"""The only module that reads the time of day."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Return Unix seconds, the unit of leases."""
    return time.time()


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_utc(moment: datetime) -> datetime:
    """Return a stored time in UTC. SQLite drops the time zone, which was UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC)


def from_unix(seconds: float) -> datetime:
    """Convert Unix seconds to a time."""
    return datetime.fromtimestamp(seconds, UTC)


def format_iso(moment: datetime | None) -> str | None:
    """Format a time as ISO 8601 in UTC."""
    return None if moment is None else to_utc(moment).isoformat().replace("+00:00", "Z")
