"""``transcribe keys …``: make, list and revoke the keys that open the service."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.errors import InvalidInput, NotFound, TranscribeError
from transcribe_api.cli_service import data_dir_option, tell_operator, use_data_dir

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.models import ApiKeyRow

_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _Span(click.ParamType):
    """A time to live such as 90d."""

    name = "span"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        match = _SPAN.fullmatch(value)
        if not match:
            self.fail(f"{value!r} is no time such as 30m, 12h, 90d or 52w", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group()
def keys() -> None:
    """Keys, which callers send to use the service."""


@keys.command(short_help="Make a key called NAME and print it.")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("read", "write"), show_default=True,
              type=click.Choice(["read", "write", "admin"]),
              help="What it allows; each allows what stands before it too.")  # fmt: skip
@click.option("--same-owner-as", metavar="PREFIX|ID",
              help="An older key; the new one sees what that one sees.")  # fmt: skip
@click.option("--expires-in", type=_Span(), metavar="TIME", help="Such as 12h or 90d.")
@click.option("--per-minute", type=click.IntRange(min=0),
              help="Requests a minute, 0: any number; else RATE_LIMIT_PER_MINUTE.")  # fmt: skip
@data_dir_option
def create(
    name: str, scopes: Sequence[str], expires_in: timedelta | None, data_dir: Path | None,
    **more: Any,
) -> None:  # fmt: skip
    """Make a key called NAME and print it: once, and alone on standard output."""
    from core import clock, keys

    asked = [keys.Scope(scope) for scope in scopes]
    expires_at = clock.utc_now() + expires_in if expires_in else None
    with _records(data_dir) as session:
        row, key = keys.create(session, name, asked, expires_at=expires_at, **more)
    until = f" until {_day(row.expires_at)}" if row.expires_at else ""
    click.echo(
        f"{row.prefix} ({row.name}) may {', '.join(row.scopes)}{until}. "
        "The key is not shown again:",
        err=True,
    )
    click.echo(key)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@data_dir_option
def show_all(as_json: bool, data_dir: Path | None) -> None:
    """List all keys, newest first. What they are is written down nowhere, and so not shown."""
    from core import keys

    with _records(data_dir) as session:
        rows = keys.newest(session)
    if as_json:
        click.echo(json.dumps([_told(row) for row in rows], indent=2))
    else:
        _print_table(rows)


@keys.command()
@click.argument("key", metavar="PREFIX|ID")
@data_dir_option
def revoke(key: str, data_dir: Path | None) -> None:
    """Have a key open nothing from now on. What was made with it stays."""
    from core import keys

    with _records(data_dir) as session:
        row = keys.revoke(session, key)
    click.echo(f"{row.prefix} ({row.name}) is revoked.", err=True)


@contextmanager
def _records(data_dir: Path | None) -> Iterator[Session]:
    """A transaction on the newest form of the database; errors end the command with a sentence."""
    use_data_dir(data_dir)
    from core import records
    from core.db import transaction

    try:
        records.upgrade()
        with transaction() as session:
            yield session
    except TranscribeError as error:
        tell_operator(str(error))
        sys.exit(1 if isinstance(error, InvalidInput | NotFound) else 3)


def _told(row: ApiKeyRow) -> dict[str, Any]:
    from core import clock

    return {
        "id": str(row.id),
        "prefix": row.prefix,
        "name": row.name,
        "scopes": row.scopes,
        "owner_id": str(row.owner_id),
        "per_minute": row.per_minute,
        "state": _state(row),
        "created_at": clock.iso(row.created_at),
        "last_used_at": clock.iso(row.last_used_at),
        "expires_at": clock.iso(row.expires_at),
        "revoked_at": clock.iso(row.revoked_at),
    }


def _state(row: ApiKeyRow) -> str:
    from core import keys

    if row.revoked_at is not None:
        return "revoked"
    return "active" if keys.is_active(row) else "expired"


def _print_table(rows: Sequence[ApiKeyRow]) -> None:
    heads = ("PREFIX", "STATE", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "NAME")
    lines = [heads] + [
        (
            *(row.prefix, _state(row), ",".join(row.scopes), _day(row.created_at)),
            *(_day(row.last_used_at), _day(row.expires_at), row.name),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "-"
