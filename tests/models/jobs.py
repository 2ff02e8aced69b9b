"""Jobs over REST, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transcribe_api.client import Client


class Jobs:
    """Submits recordings to the engine `whisper` of a running service."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def transcribe(self, recordings: Sequence[Path], **wishes: str) -> list[dict[str, Any]]:
        """The result of each recording, in order, when all are done."""
        wishes = {"engine": "whisper", "diarizer": "none", **wishes}
        submitted = [self._client.submit(recording, **wishes) for recording in recordings]
        return [self._wait(job["job_id"]) for job in submitted]

    def _wait(self, job_id: str) -> dict[str, Any]:
        statuses = [one.data for one in self._client.events(job_id) if one.name == "status"]
        assert statuses[-1]["status"] == "completed", statuses[-1]
        return self._client.result(job_id)


def text_of(result: dict[str, Any]) -> str:
    return " ".join(segment["text"] for segment in result["segments"])


def words_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [word for segment in result["segments"] for word in segment["words"]]
