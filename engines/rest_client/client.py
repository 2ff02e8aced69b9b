"""Client of a service with OpenAI's audio API.

It does not retry: the queue retries the chunk.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from core.errors import EngineError
from core.settings import Settings
from engines.rest_client.failures import convert_error, convert_refusal

#: Seconds to connect, and to wait for the list of models.
TIMEOUT_SECONDS = 10.0
#: Seconds between our timeout and the one after which the worker replaces the process.
_MARGIN_SECONDS = 5

# httpx2 would log every request, and there is one every few seconds.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class RestClient:
    """Calls to the configured service. Every method raises `core.errors`, see `failures`."""

    def __init__(self, settings: Settings) -> None:
        self._base = str(settings.whisperx_service_url).rstrip("/").removesuffix("/v1")
        key = settings.whisperx_service_key
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=TIMEOUT_SECONDS
        )
        seconds = min(settings.whisperx_timeout, settings.chunk_time_limit - _MARGIN_SECONDS)
        self._timeout = httpx2.Timeout(seconds, connect=TIMEOUT_SECONDS)

    def list_models(self) -> tuple[str, ...]:
        """Return the models of the service; empty if it is healthy and has no list."""
        with _translate_errors():
            response = self._client.get(f"{self._base}/v1/models")
            if response.status_code not in (404, 405):
                rows = _parse_response(response).get("data")
                return tuple(str(row["id"]) for row in rows or () if isinstance(row, dict))
            response = self._client.get(f"{self._base}/health")
            if not response.is_success:
                raise convert_refusal(response)
            return ()

    def transcribe(self, audio: Path, fields: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
        """Transcribe a file; return the ``verbose_json`` response."""
        with _translate_errors(), audio.open("rb") as file:
            response = self._client.post(
                f"{self._base}/v1/audio/transcriptions",
                data=fields,
                files={"file": (audio.name, file, "audio/wav")},
                timeout=self._timeout,
            )
            return _parse_response(response)


def _parse_response(response: httpx2.Response) -> dict[str, Any]:
    if not response.is_success:
        raise convert_refusal(response)
    try:
        payload = response.json()
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise EngineError(
            "the server at WHISPERX_SERVICE_URL does not implement OpenAI's audio API"
        )
    return payload


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise convert_error(error) from error
