"""Secrets of an installation: made when first needed, and the same for all its machines."""

from __future__ import annotations

import secrets

from sqlalchemy.exc import IntegrityError

from core.db import reading, transaction
from core.models import SecretRow

#: Random bytes of a secret.
BYTES = 32


def of(name: str) -> str:
    """The secret of this name, as text for URLs: 256 random bits."""
    with reading() as session:
        row = session.get(SecretRow, name)
    return row.value if row else _made(name)


def _made(name: str) -> str:
    value = secrets.token_urlsafe(BYTES)
    try:
        with transaction() as session:
            session.add(SecretRow(name=name, value=value))
    except IntegrityError:  # another process was faster
        return of(name)
    return value
