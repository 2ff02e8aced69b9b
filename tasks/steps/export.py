"""Write the files of a job into a folder of this machine, for callers who requested it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import structlog

from core.errors import InvalidInput
from core.filesystem.media_roots import resolve_path
from core.storage import layout, storage
from transcripts.warning import TranscriptWarning, WarningCode

log = structlog.get_logger(__name__)


def export_artefacts(job_id: str, output_dir: str) -> TranscriptWarning | None:
    """Write the artefacts of a job; return a warning if that fails. Safe to run twice."""
    job_prefix = layout.job_prefix(job_id)
    try:
        for key in storage().list_keys(job_prefix):
            name = key.removeprefix(job_prefix)
            if layout.is_artefact(name):
                _write_file(key, output_dir, name)
    except (InvalidInput, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        log.warning("files not written", folder=output_dir, reason=reason)
        sentence = f"the files could not be written to {output_dir}: {reason}"
        return TranscriptWarning(WarningCode.FILES_NOT_WRITTEN, sentence)
    return None


def _write_file(key: str, output_dir: str, name: str) -> None:
    # Checked for each file: links may have been created there since the job was accepted.
    target = resolve_path(str(Path(output_dir, name).parent), "output_dir") / Path(name).name
    target.parent.mkdir(parents=True, exist_ok=True)
    file_descriptor, unfinished = tempfile.mkstemp(prefix=".transcribe-", dir=target.parent)
    try:
        with os.fdopen(file_descriptor, "wb") as file:
            for block in storage().stream(key):
                file.write(block)
        Path(unfinished).chmod(0o666 & ~_read_umask())
        Path(unfinished).replace(target)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def _read_umask() -> int:
    # `tempfile` makes files for their owner alone; these are for everyone who shares the folder.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
