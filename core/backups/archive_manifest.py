"""The manifest of an archive: its last member, so an archive without it is incomplete."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.backups.backup_error import BackupError

NAME = "manifest.json"
#: Format version. It increases when older versions cannot restore newer archives.
FORMAT = 1

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """Content of an archive."""

    model_config = ConfigDict(frozen=True)

    format: int
    #: Version of Chordscribe that wrote it.
    version: str
    #: Migration of the database.
    revision: str
    created_at: datetime
    jobs: int
    #: Jobs that were not over.
    unfinished_jobs: int
    #: SHA-256 of every other member, by name.
    files: dict[str, _Sha256]

    def encode(self) -> bytes:
        return self.model_dump_json(indent=1).encode()


def decode_manifest(data: bytes) -> Manifest:
    """Parse a manifest. Raises `BackupError`."""
    try:
        return Manifest.model_validate_json(data)
    except ValidationError:
        raise BackupError(
            "the archive is damaged: its manifest cannot be read; use another backup"
        ) from None
