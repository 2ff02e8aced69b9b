"""Convert failed calls to a remote WhisperX to errors: wait for the service, retry, or give up.

For transport errors, callers get only the name of the wrong setting, since the details may contain
addresses. The service's message about a request is passed on.
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

#: Characters of the service's message that callers get.
_MAX_CHARACTERS = 300
#: Seconds to wait for a service that is down and sends no Retry-After.
_RETRY_SECONDS = 2.0
#: The service is overloaded, or a proxy cannot reach it.
_BUSY_STATUSES = {429, 502, 503, 504}


def convert_error(error: httpx2.HTTPError) -> TranscribeError:
    """Return the error to raise for a call without a response."""
    log.warning("remote WhisperX: %s: %s", type(error).__name__, error)
    if isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout):
        return Transient("the WhisperX service did not answer within WHISPERX_TIMEOUT")
    if _is_certificate_error(error) or isinstance(error, httpx2.UnsupportedProtocol):
        return EngineError(
            "cannot connect to the WhisperX service: WHISPERX_SERVICE_URL or a certificate is wrong"
        )
    if isinstance(error, httpx2.TransportError):
        return Unavailable("the WhisperX service at WHISPERX_SERVICE_URL does not answer")
    return Transient(f"the WhisperX service failed ({type(error).__name__})")


def convert_refusal(response: httpx2.Response) -> TranscribeError:
    """Return the error to raise for an unsuccessful response."""
    status, message = response.status_code, _extract_message(response)
    log.warning("remote WhisperX: %s: %s", status, message)
    if status in _BUSY_STATUSES:
        reason = "is overloaded" if status == 429 else "is not available at the moment"
        return Unavailable(f"the WhisperX service {reason}", retry_in=_parse_retry_after(response))
    if status >= 500 or status == 408:
        return Transient(
            f"the WhisperX service failed ({status})", retry_in=_parse_retry_after(response)
        )
    return EngineError(_describe_status(status, message))


def _describe_status(status: int, message: str) -> str:
    match status:
        case 401 | 403:
            return "the WhisperX service does not accept the key in WHISPERX_SERVICE_KEY"
        case 404:
            return (
                "the WhisperX service has no such model, or WHISPERX_SERVICE_URL is wrong; "
                f"set WHISPERX_DEFAULT_MODEL to one of its models: {message}"
            )
        case 413:
            return "a chunk is larger than the WhisperX service accepts; lower CHUNK_DURATION"
        case _ if status < 400:
            return "WHISPERX_SERVICE_URL is redirected; set it to the target of the redirection"
    return f"the WhisperX service refused the request ({status}): {message}"


def _extract_message(response: httpx2.Response) -> str:
    """Return the service's message, from any of the usual places."""
    try:
        payload: Any = response.json()
    except ValueError:
        payload = response.text
    for key in ("error", "message", "detail"):
        if isinstance(payload, dict) and key in payload:
            payload = payload[key]
    return " ".join(str(payload).split())[:_MAX_CHARACTERS]


def _parse_retry_after(response: httpx2.Response) -> float:
    """Return the seconds of Retry-After, a number or a date (RFC 9110, section 10.2.3)."""
    header = response.headers.get("Retry-After", "").strip()
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return _RETRY_SECONDS
    return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
