"""The line to a service that speaks the audio API of OpenAI.

It makes no tries of its own: the queue has a chunk tried again.
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
from engines.rest.failures import failure, refusal

#: Seconds to connect, and for the list of models.
PATIENCE = 10.0
#: Seconds by which we are done before the worker would replace the process.
_MARGIN = 5

# It would say so of every request, and there is one every few seconds.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class Line:
    """Calls to the service of these settings. Every method raises our errors, see `failures`."""

    def __init__(self, now: Settings) -> None:
        self._base = str(now.whisperx_service_url).rstrip("/").removesuffix("/v1")
        key = now.whisperx_service_key
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=PATIENCE
        )
        seconds = min(now.whisperx_timeout, now.chunk_time_limit - _MARGIN)
        self._to_hear = httpx2.Timeout(seconds, connect=PATIENCE)

    def models(self) -> tuple[str, ...]:
        """What the service lists; nothing for one that is well and has no list."""
        with _our_errors():
            answer = self._client.get(f"{self._base}/v1/models")
            if answer.status_code not in (404, 405):
                listed = _read(answer).get("data")
                return tuple(str(one["id"]) for one in listed or () if isinstance(one, dict))
            answer = self._client.get(f"{self._base}/health")
            if not answer.is_success:
                raise refusal(answer)
            return ()

    def transcribe(self, audio: Path, fields: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
        """Have a file heard; gives what ``verbose_json`` holds."""
        with _our_errors(), audio.open("rb") as file:
            answer = self._client.post(
                f"{self._base}/v1/audio/transcriptions",
                data=fields,
                files={"file": (audio.name, file, "audio/wav")},
                timeout=self._to_hear,
            )
            return _read(answer)


def _read(answer: httpx2.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise refusal(answer)
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise EngineError("what answers at WHISPERX_SERVICE_URL is no audio API of OpenAI's kind")
    return told


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise failure(error) from error
