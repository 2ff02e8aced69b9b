"""Health: whether the process runs, and whether it can accept jobs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.db.transactions import explain_outage
from core.errors import StorageFull, TranscribeError
from core.filesystem import free_space
from core.redis import client as redis_client
from core.storage import storage
from transcribe_api.database import db
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.system import Alive, Readiness

#: Seconds for which a check is cached.
CACHE_SECONDS = 1.0
_EXTENSION_KEY = "readiness"

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@document_route(Answer(200, Alive), public=True)
def alive() -> ResponseReturnValue:
    """Check that the process answers."""
    return jsonify({"status": "ok"})


@bp.get("/readyz")
@document_route(Answer(200, Readiness), Answer(503, Readiness), public=True)
def ready() -> ResponseReturnValue:
    """Check database, Redis and storage; 503 names those that fail, or a full disk."""
    checks = _check_all()
    is_ready = all(state == "ok" for state in checks.values())
    status = "ok" if is_ready else "unavailable"
    return jsonify({"status": status, "checks": checks}), 200 if is_ready else 503


def _check_all() -> dict[str, str]:
    """Return the state of the parts, checked at most once a second since anybody may ask often."""
    last_check: _LastCheck = current_app.extensions.setdefault(_EXTENSION_KEY, _LastCheck())
    with last_check.lock:
        if time.monotonic() - last_check.checked_at >= CACHE_SECONDS:
            last_check.checks = {name: _check_service(ping) for name, ping in _PINGS.items()}
            last_check.checked_at = time.monotonic()
        return last_check.checks


@dataclass
class _LastCheck:
    """The last check."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    checked_at: float = -math.inf
    checks: dict[str, str] = field(default_factory=dict)


def _check_service(ping: Callable[[], object]) -> str:
    try:
        ping()
    except (SQLAlchemyError, redis.RedisError, TranscribeError, OSError) as error:
        return "full" if _is_disk_full(error) else "unavailable"
    return "ok"


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, SQLAlchemyError):
        return isinstance(explain_outage(error), StorageFull)
    # Redis returns this while it cannot write its file, usually because the disk is full.
    return isinstance(error, StorageFull) or str(error).startswith("MISCONF")


def _check_storage() -> None:
    storage().ping()
    free_space.require_space()


_PINGS: dict[str, Callable[[], object]] = {
    "database": lambda: db.session.execute(text("SELECT 1")),
    "redis": lambda: redis_client().ping(),
    "storage": _check_storage,
}
