"""Engines of other packages, as values of PostgreSQL's enumeration of them."""

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
    """Have the database know the engines that other packages have brought here.

    Ours are known by migrations. Engines that are gone stay known: jobs of theirs may be kept.
    """
    if connection.dialect.name != "postgresql":  # others keep names as text
        return
    present = set(connection.scalars(text(_PRESENT_QUERY)))
    # Without any, the migrations went back to before there was a job.
    for name in sorted(catalog.recognizers().keys() - present - set(ENGINES)) if present else ():
        quoted = name.replace("'", "''")
        connection.exec_driver_sql(
            f"ALTER TYPE transcription_engine ADD VALUE IF NOT EXISTS '{quoted}'"
        )
