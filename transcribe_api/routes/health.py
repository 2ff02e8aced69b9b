"""Health: whether the process lives, and whether it can take jobs."""

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

from core import free_space, progress
from core.db import explain_outage
from core.errors import StorageFull, TranscribeError
from core.storage import storage
from transcribe_api.database import db
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.system import Alive, Readiness

#: Seconds for which one look is good enough.
GOOD_FOR = 1.0
_KEPT = "readiness"

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@documented(Answer(200, Alive), public=True)
def alive() -> ResponseReturnValue:
    """The process answers."""
    return jsonify({"status": "ok"})


@bp.get("/readyz")
@documented(Answer(200, Readiness), Answer(503, Readiness), public=True)
def ready() -> ResponseReturnValue:
    """Database, Redis and storage answer; 503 names the ones that do not, or a full disk."""
    checks = _check_all()
    well = all(state == "ok" for state in checks.values())
    status = "ok" if well else "unavailable"
    return jsonify({"status": status, "checks": checks}), 200 if well else 503


def _check_all() -> dict[str, str]:
    """How the parts are, looked up once a second at most: anybody may ask, and often."""
    kept = current_app.extensions.setdefault(_KEPT, _LastCheck())
    with kept.guard:
        if time.monotonic() - kept.since >= GOOD_FOR:
            kept.checks = {name: _check(ping) for name, ping in _PINGS.items()}
            kept.since = time.monotonic()
        return kept.checks


@dataclass
class _LastCheck:
    """What was found last."""

    guard: threading.Lock = field(default_factory=threading.Lock)
    since: float = -math.inf
    checks: dict[str, str] = field(default_factory=dict)


def _check(ping: Callable[[], object]) -> str:
    try:
        ping()
    except (SQLAlchemyError, redis.RedisError, TranscribeError, OSError) as error:
        return "full" if _is_for_want_of_room(error) else "unavailable"
    return "ok"


def _is_for_want_of_room(error: Exception) -> bool:
    if isinstance(error, SQLAlchemyError):
        return isinstance(explain_outage(error), StorageFull)
    # Redis answers so for as long as it cannot write its file, mostly on a full disk.
    return isinstance(error, StorageFull) or str(error).startswith("MISCONF")


def _check_storage() -> None:
    storage().ping()
    free_space.require()


_PINGS: dict[str, Callable[[], object]] = {
    "database": lambda: db.session.execute(text("SELECT 1")),
    "redis": lambda: progress.client().ping(),
    "storage": _check_storage,
}
