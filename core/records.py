"""Brings the database to the newest form."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

import migrations
from core.settings import settings


def upgrade() -> None:
    """Run the migrations that the database lacks. Safe to run twice."""
    settings().transcribe_data_dir.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    command.upgrade(config, "head")
