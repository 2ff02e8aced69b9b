"""Migrate the database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import InterfaceError, OperationalError

import migrations
from core import versions
from core.db import sqlite_file
from core.db.transactions import explain_outage
from core.errors import TranscribeError
from core.filesystem import data_directory


class NewerDatabase(TranscribeError):
    """The database is at a migration that this version does not have."""

    code = "newer_records"


def upgrade_database() -> None:
    """Run the missing migrations. Safe to call twice.

    Raises `Unavailable`, `DataDirectoryError`, `NewerDatabase` or, before anything is written,
    `DatabaseDamaged`.
    """
    data_directory.create_directory()
    sqlite_file.require_undamaged()
    try:
        command.upgrade(_build_config(), "head")
    except (OperationalError, InterfaceError) as error:
        raise explain_outage(error) or error from error
    except CommandError as error:
        raise NewerDatabase(
            f"the database cannot be migrated to this version, {versions.service_version()}: "
            f"a newer version has changed it ({error}); install that version again, or use it to "
            "roll back as described in docs/upgrading.md"
        ) from error


def list_revisions() -> frozenset[str]:
    """Return the migrations of this version; a database at another one is newer."""
    scripts = ScriptDirectory.from_config(_build_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _build_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return config
