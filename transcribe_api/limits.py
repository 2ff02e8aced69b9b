"""How many requests a minute are answered, by key: counted in Redis, by all processes together."""

from __future__ import annotations

import time
from functools import partial

import redis
from flask import Flask, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_limiter import ApplicationLimit, Limiter, RateLimitExceeded
from flask_limiter.constants import ConfigVars

from core.errors import RateLimited, WrongKey
from core.settings import settings
from transcribe_api import access
from transcribe_api.gate import proxies

#: Wrong keys a minute from one address that are told so. Right keys from there go on working: a
#: key cannot be guessed, but a door that strangers can lock is one that they will lock.
WRONG_KEYS_PER_MINUTE = 30

#: Rules that start a job.
SUBMISSIONS = frozenset(
    {
        "/api/transcribe/jobs/transcribe",
        "/api/transcribe/jobs/transcribe/asr",
        "/api/transcribe/jobs/transcribe/whisperx",
        "/process",
        "/v1/audio/transcriptions",
    }
)

_MINUTE = 60.0
#: Seconds to wait for Redis before this process counts for itself.
PATIENCE = 1


def count(app: Flask) -> None:
    """Count the requests of this application, and refuse those that are too many."""
    app.config[ConfigVars.STORAGE_URI] = _storage(settings().redis)
    app.config[ConfigVars.STORAGE_OPTIONS] = {
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": PATIENCE,
    }
    limiter = Limiter(
        _address,
        strategy="moving-window",
        key_prefix="transcribe",
        in_memory_fallback_enabled=True,
        # Also what no route matches.
        request_identifier=lambda: request.endpoint or "unknown",
        application_limits=[
            ApplicationLimit(_requests, key_function=_key, scope="requests"),
            ApplicationLimit(_submissions, key_function=_key, scope="submissions"),
            ApplicationLimit(_wrong_keys, key_function=_address, scope="wrong keys"),
        ],
    )
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, partial(_refused, limiter))


def _requests() -> str:
    given = access.caller().per_minute
    return _by_key(settings().rate_limit_per_minute if given is None else given)


def _submissions() -> str:
    submits = request.method == "POST" and str(request.url_rule) in SUBMISSIONS
    return _by_key(settings().submit_limit_per_minute) if submits else ""


def _wrong_keys() -> str:
    return f"{WRONG_KEYS_PER_MINUTE}/minute" if isinstance(g.refusal, WrongKey) else ""


def _by_key(most: int) -> str:
    """A limit in the library's words; empty where there is none."""
    return f"{most}/minute" if most and access.caller().key_id else ""


def _key() -> str:
    return str(access.caller().key_id)


def _address() -> str:
    return proxies.find_client_address(request.environ) or "unknown"


def _refused(limiter: Limiter, error: RateLimitExceeded) -> ResponseReturnValue:
    problem = RateLimited(
        f"more than {error.limit.limit.amount} {error.limit.scope} in a minute; try again later",
        retry_in=_seconds_left(limiter),
    )
    # Some routes tell of errors in a form of their own.
    return current_app.handle_user_exception(problem)


def _seconds_left(limiter: Limiter) -> float:
    assert limiter.current_limit is not None  # it is what was exceeded
    try:
        left = limiter.current_limit.reset_at - time.time()
    except redis.RedisError:
        return _MINUTE
    return min(left, _MINUTE)  # the library rounds up by a second


def _storage(redis_url: str) -> str:
    """The library has a name of its own for Unix sockets."""
    return f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url
