"""Brings the database to the newest form."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import InterfaceError, OperationalError

import migrations
from core import data_folder, sqlite_file
from core.db import explain_outage


def upgrade() -> None:
    """Run the migrations that the database lacks. Safe to run twice.

    Raises `Unavailable`, `DataFolderError` or, before anything is written, `DatabaseDamaged`.
    """
    data_folder.make()
    sqlite_file.require()
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    try:
        command.upgrade(config, "head")
    except (OperationalError, InterfaceError) as error:
        raise explain_outage(error) or error from error
