"""Events of files for programs: one JSON object per line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcribe_api.cli.service import print_json
from transcribe_api.python.batch_client import FileOutcome


class JsonlOutput:
    """Prints one object per event.

    All have an ``event`` (``sending``, ``status``, ``detached``, ``completed``, ``failed``) and a
    ``file``.
    """

    def __enter__(self) -> JsonlOutput:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show_start(self, file: Path) -> None:
        print_json({"event": "sending", "file": str(file)})

    def show_accepted(self, file: Path, job: dict[str, Any]) -> None:
        """Print nothing: the first status has the job's id, too."""

    def show_status(self, file: Path, status: dict[str, Any]) -> None:
        print_json({"event": "status", "file": str(file), **status})

    def show_outcome(self, outcome: FileOutcome) -> None:
        common = {"file": str(outcome.file), "job_id": outcome.job_id}
        if outcome.reason is not None:
            print_json({"event": "failed", **common, "reason": outcome.reason})
        elif outcome.is_detached:
            print_json({"event": "detached", **common})
        else:
            output = outcome.output and str(outcome.output)
            details = {"output": output, "warnings": list(outcome.warnings)}
            print_json({"event": "completed", **common, **details})
