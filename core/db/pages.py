"""Paged lists, newest first.

A page begins after a position, not after a number of rows. Rows added meanwhile are newer than all
remaining ones, so no row appears twice, and deleted rows hide no others.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ExecutableOption

from core import clock


class TimestampedRow(Protocol):
    """A model whose rows have a creation time."""

    id: Any
    created_at: Any


Row = TypeVar("Row", bound=TimestampedRow)


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The position of a row in a list, valid even if the row was deleted."""

    created_at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A page of a list."""

    rows: Sequence[Row]
    #: Position after which the next page begins, or None at the end of the list.
    next_cursor: PageCursor | None


def fetch_page(
    session: Session,
    model: type[Row],
    limit: int,
    after: PageCursor | None,
    *conditions: ColumnElement[bool],
    options: Sequence[ExecutableOption] = (),
) -> Page[Row]:
    """Return at most *limit* rows that meet the conditions, after the position *after*.

    *options*: loader options for related rows.
    """
    query = select(model).where(*conditions).options(*options)
    query = query.order_by(model.created_at.desc(), model.id.desc())
    if after is not None:
        query = query.where(_is_older(model, after))
    # One extra row shows whether there is another page.
    rows = session.scalars(query.limit(limit + 1)).all()
    page = rows[:limit]
    return Page(page, _row_cursor(page[-1]) if len(rows) > limit else None)


def _is_older(model: type[Row], cursor: PageCursor) -> ColumnElement[bool]:
    is_tie = and_(model.created_at == cursor.created_at, model.id < cursor.id)
    return or_(model.created_at < cursor.created_at, is_tie)


def _row_cursor(row: TimestampedRow) -> PageCursor:
    return PageCursor(clock.to_utc(row.created_at), row.id)
