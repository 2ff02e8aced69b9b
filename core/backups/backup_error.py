"""Error of a backup or restore."""

from __future__ import annotations

from core.errors import TranscribeError


class BackupError(TranscribeError):
    """A backup cannot be made or restored; the message states the reason and a remedy."""

    code = "backup"
