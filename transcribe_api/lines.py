"""What happens to files, for programs: a JSON object a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from transcribe_api.cli_service import told as tell
from transcribe_api.transcribing import Outcome


class Show(Protocol):
    """Says what happens to files: to people by bars, or to programs."""

    def begin(self, file: Path) -> None:
        """A file is going to be sent."""

    def state(self, file: Path, told: dict[str, Any]) -> None:
        """This is how the job of a file is now. Called by several threads."""

    def end(self, outcome: Outcome) -> None:
        """So a file ended."""


class Lines:
    """Every object has an ``event`` (``sending``, ``status``, ``completed``, ``failed``) and a
    ``file``."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, file: Path) -> None:
        tell({"event": "sending", "file": str(file)})

    def state(self, file: Path, told: dict[str, Any]) -> None:
        tell({"event": "status", "file": str(file), **told})

    def end(self, outcome: Outcome) -> None:
        about = {"file": str(outcome.file), "job_id": outcome.job_id}
        if outcome.reason is not None:
            tell({"event": "failed", **about, "reason": outcome.reason})
        else:
            ended = {"output": str(outcome.output), "warnings": list(outcome.warnings)}
            tell({"event": "completed", **about, **ended})
