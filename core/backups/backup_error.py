"""Why a backup or a restore is refused."""

from __future__ import annotations

from core.errors import TranscribeError


class BackupError(TranscribeError):
    """A backup cannot be made or restored; the message says why, and what to do."""

    code = "backup"
