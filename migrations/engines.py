"""Adds engines of plugins to PostgreSQL's enumeration of engines."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.engine import Connection

from core.db.models import ENGINES
from engines import catalog

_PRESENT_QUERY = """
SELECT enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
WHERE pg_type.oid = to_regtype('transcription_engine')
"""


def add_engines(connection: Connection) -> None:
    """Add the engines of installed plugins to the database's enumeration.

    Built-in engines are added by migrations. Engines that were uninstalled stay: jobs may name
    them.
    """
    if connection.dialect.name != "postgresql":  # other databases store names as text
        return
    present = set(connection.scalars(text(_PRESENT_QUERY)))
    # An empty result means that the migrations were undone to the time before the first job table.
    for name in sorted(catalog.recognizers().keys() - present - set(ENGINES)) if present else ():
        quoted = name.replace("'", "''")
        connection.exec_driver_sql(
            f"ALTER TYPE transcription_engine ADD VALUE IF NOT EXISTS '{quoted}'"
        )
