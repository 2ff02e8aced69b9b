"""How many requests a minute are answered, by key: counted in Redis, by all processes together."""

from __future__ import annotations

import time
from functools import partial

import redis
from flask import Flask, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_limiter import ApplicationLimit, Limiter, RateLimitExceeded
from flask_limiter.constants import ConfigVars

from core.errors import InvalidApiKey, RateLimited
from core.settings import settings
from transcribe_api.http.auth import guard
from transcribe_api.http.gate import proxies

#: Wrong keys a minute from one address that are told so. Right keys from there go on working: a
#: key cannot be guessed, but a door that strangers can lock is one that they will lock.
WRONG_KEYS_PER_MINUTE = 30

#: Rules that start a job.
SUBMISSION_RULES = frozenset(
    {
        "/api/transcribe/jobs/transcribe",
        "/api/transcribe/jobs/transcribe/asr",
        "/api/transcribe/jobs/transcribe/whisperx",
        "/process",
        "/v1/audio/transcriptions",
    }
)

_MINUTE_SECONDS = 60.0
#: Seconds to wait for Redis before this process counts for itself.
REDIS_TIMEOUT_SECONDS = 1


def install_rate_limits(app: Flask) -> None:
    """Count the requests of this application, and refuse those that are too many."""
    app.config[ConfigVars.STORAGE_URI] = _build_storage_url(settings().redis)
    app.config[ConfigVars.STORAGE_OPTIONS] = {
        "socket_timeout": REDIS_TIMEOUT_SECONDS,
        "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
    }
    limiter = Limiter(
        _find_address,
        strategy="moving-window",
        key_prefix="transcribe",
        in_memory_fallback_enabled=True,
        # Also what no route matches.
        request_identifier=lambda: request.endpoint or "unknown",
        application_limits=[
            ApplicationLimit(_request_limit, key_function=_find_key_id, scope="requests"),
            ApplicationLimit(_submission_limit, key_function=_find_key_id, scope="submissions"),
            ApplicationLimit(_wrong_key_limit, key_function=_find_address, scope="wrong keys"),
        ],
    )
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, partial(_answer_exceeded, limiter))


def _request_limit() -> str:
    per_minute = guard.caller().per_minute
    return _format_limit(settings().rate_limit_per_minute if per_minute is None else per_minute)


def _submission_limit() -> str:
    is_submission = request.method == "POST" and str(request.url_rule) in SUBMISSION_RULES
    return _format_limit(settings().submit_limit_per_minute) if is_submission else ""


def _wrong_key_limit() -> str:
    return f"{WRONG_KEYS_PER_MINUTE}/minute" if isinstance(g.refusal, InvalidApiKey) else ""


def _format_limit(limit: int) -> str:
    """A limit in the library's words; empty where there is none."""
    return f"{limit}/minute" if limit and guard.caller().key_id else ""


def _find_key_id() -> str:
    return str(guard.caller().key_id)


def _find_address() -> str:
    return proxies.find_client_address(request.environ) or "unknown"


def _answer_exceeded(limiter: Limiter, error: RateLimitExceeded) -> ResponseReturnValue:
    problem = RateLimited(
        f"more than {error.limit.limit.amount} {error.limit.scope} in a minute; try again later",
        retry_in=_seconds_left(limiter),
    )
    # Some routes tell of errors in a form of their own.
    return current_app.handle_user_exception(problem)


def _seconds_left(limiter: Limiter) -> float:
    assert limiter.current_limit is not None  # it is what was exceeded
    try:
        remaining = limiter.current_limit.reset_at - time.time()
    except redis.RedisError:
        return _MINUTE_SECONDS
    return min(remaining, _MINUTE_SECONDS)  # the library rounds up by a second


def _build_storage_url(redis_url: str) -> str:
    """The library has a name of its own for Unix sockets."""
    return f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url
