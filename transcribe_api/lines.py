"""What happens to files, for programs: a JSON object a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transcribe_api.cli_service import told as tell
from transcribe_api.transcribing import Outcome


class Lines:
    """Every object has an ``event`` (``sending``, ``status``, ``detached``, ``completed``,
    ``failed``) and a ``file``."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, file: Path) -> None:
        tell({"event": "sending", "file": str(file)})

    def accept(self, file: Path, job: dict[str, Any]) -> None:
        """The first state has its id, too."""

    def state(self, file: Path, told: dict[str, Any]) -> None:
        tell({"event": "status", "file": str(file), **told})

    def end(self, outcome: Outcome) -> None:
        about = {"file": str(outcome.file), "job_id": outcome.job_id}
        if outcome.reason is not None:
            tell({"event": "failed", **about, "reason": outcome.reason})
        elif outcome.is_detached:
            tell({"event": "detached", **about})
        else:
            output = outcome.output and str(outcome.output)
            ended = {"output": output, "warnings": list(outcome.warnings)}
            tell({"event": "completed", **about, **ended})
