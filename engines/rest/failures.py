"""What a failed call to a remote WhisperX means: wait for the service, try again, or give up.

Of what goes wrong on the way callers are told only which setting it lies at: the rest may name
addresses. What the service says of a request is passed on.
"""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from core.errors import EngineError, TranscribeError, Transient, Unavailable

log = logging.getLogger(__name__)

#: Characters of the service's own words that a caller is shown.
_LONGEST = 300
#: Seconds to wait for a service that is down and does not say how long.
_WAIT = 2.0
#: It has too much to do, or a proxy before it does not reach it.
_DOWN = {429, 502, 503, 504}


def failure(error: httpx2.HTTPError) -> TranscribeError:
    """The error to raise for a call that got no answer."""
    log.warning("remote WhisperX: %s: %s", type(error).__name__, error)
    if isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout):
        return Transient("the WhisperX service did not answer within WHISPERX_TIMEOUT")
    if _is_about_certificates(error) or isinstance(error, httpx2.UnsupportedProtocol):
        return EngineError(
            "the WhisperX service is not reached: WHISPERX_SERVICE_URL or a certificate is wrong"
        )
    if isinstance(error, httpx2.TransportError):
        return Unavailable("the WhisperX service at WHISPERX_SERVICE_URL does not answer")
    return Transient(f"the WhisperX service failed ({type(error).__name__})")


def refusal(answer: httpx2.Response) -> TranscribeError:
    """The error to raise for an answer that is none of success."""
    status, said = answer.status_code, _said(answer)
    log.warning("remote WhisperX: %s: %s", status, said)
    if status in _DOWN:
        told = "has too much to do" if status == 429 else "is not there at the moment"
        return Unavailable(f"the WhisperX service {told}", retry_in=_wait(answer))
    if status >= 500 or status == 408:
        return Transient(f"the WhisperX service failed ({status})", retry_in=_wait(answer))
    return EngineError(_sentence(status, said))


def _sentence(status: int, said: str) -> str:
    match status:
        case 401 | 403:
            return "the WhisperX service does not accept the key in WHISPERX_SERVICE_KEY"
        case 404:
            return (
                "the WhisperX service does not know the model, or WHISPERX_SERVICE_URL leads to "
                f"something else; set WHISPERX_DEFAULT_MODEL to one that it has: {said}"
            )
        case 413:
            return "a chunk is more than the WhisperX service takes; lower CHUNK_DURATION"
        case _ if status < 400:
            return "WHISPERX_SERVICE_URL leads to a redirection; set it to where that leads"
    return f"the WhisperX service refuses the request ({status}): {said}"


def _said(answer: httpx2.Response) -> str:
    """The service's own words, in whichever of the usual places."""
    try:
        told: Any = answer.json()
    except ValueError:
        told = answer.text
    for key in ("error", "message", "detail"):
        if isinstance(told, dict) and key in told:
            told = told[key]
    return " ".join(str(told).split())[:_LONGEST]


def _wait(answer: httpx2.Response) -> float:
    """Seconds that the service asks for, as a number or as a date (RFC 9110, section 10.2.3)."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        date = parsedate_to_datetime(asked)
    except ValueError:
        return _WAIT
    return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
