"""Limit the requests per minute by key, counted in Redis for all processes together."""

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

#: Wrong keys per minute and address that get a 401. Right keys from that address still work: keys
#: cannot be guessed, and otherwise strangers could lock out other callers.
WRONG_KEYS_PER_MINUTE = 30

#: Routes that start a job.
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
#: Seconds to wait for Redis before this process counts on its own.
REDIS_TIMEOUT_SECONDS = 1


def install_rate_limits(app: Flask) -> None:
    """Count the requests of this application, and refuse those over the limit."""
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
        # Includes requests that match no route.
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
    """Return a limit in the library's notation; empty if there is none."""
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
    # Some routes have their own error format.
    return current_app.handle_user_exception(problem)


def _seconds_left(limiter: Limiter) -> float:
    assert limiter.current_limit is not None  # it is set when exceeded
    try:
        remaining = limiter.current_limit.reset_at - time.time()
    except redis.RedisError:
        return _MINUTE_SECONDS
    return min(remaining, _MINUTE_SECONDS)  # the library rounds up by a second


def _build_storage_url(redis_url: str) -> str:
    """Return the address in the library's form, which differs for Unix sockets."""
    return f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url
