"""Secrets of an installation: created when first needed, and shared by all its machines."""

from __future__ import annotations

import secrets

from sqlalchemy.exc import IntegrityError

from core.db.models import SecretRow
from core.db.transactions import read_session, transaction

#: Random bytes of a secret.
SECRET_BYTES = 32


def get_secret(name: str) -> str:
    """Return the secret of this name, as URL-safe text of 256 random bits."""
    with read_session() as session:
        row = session.get(SecretRow, name)
    return row.value if row else _create_secret(name)


def _create_secret(name: str) -> str:
    value = secrets.token_urlsafe(SECRET_BYTES)
    try:
        with transaction() as session:
            session.add(SecretRow(name=name, value=value))
    except IntegrityError:  # another process was faster
        return get_secret(name)
    return value
