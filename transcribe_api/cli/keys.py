"""``transcribe keys …``: create, list and revoke the keys of the service."""

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
from transcribe_api.cli.service import data_dir_option, tell_operator, use_data_dir

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.db.models import ApiKeyRow

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _Duration(click.ParamType[timedelta]):
    """A duration such as 90d."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        match = _DURATION.fullmatch(value)
        if not match:
            self.fail(f"{value!r} is not a duration such as 30m, 12h, 90d or 52w", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group()
def keys() -> None:
    """Manage the keys with which callers use the service."""


@keys.command(short_help="Create a key called NAME and print it.")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("read", "write"), show_default=True,
              type=click.Choice(["read", "write", "admin"]),
              help="Scope of the key; each scope includes the ones before it.")  # fmt: skip
@click.option("--same-owner-as", metavar="PREFIX|ID",
              help="An existing key; the new one gets the same owner.")  # fmt: skip
@click.option("--expires-in", type=_Duration(), metavar="TIME", help="Such as 12h or 90d.")
@click.option("--per-minute", type=click.IntRange(min=0),
              help="Requests per minute, 0: no limit; default: RATE_LIMIT_PER_MINUTE.")  # fmt: skip
@data_dir_option
def create(
    name: str, scopes: Sequence[str], expires_in: timedelta | None, data_dir: Path | None,
    **more: Any,
) -> None:  # fmt: skip
    """Create a key called NAME and print it, once, as the only text on standard output."""
    from core import clock
    from core.access import keys

    requested_scopes = [keys.Scope(scope) for scope in scopes]
    expires_at = clock.utc_now() + expires_in if expires_in else None
    with _open_session(data_dir) as session:
        row, key = keys.create_key(session, name, requested_scopes, expires_at=expires_at, **more)
    expiry = f" until {_format_time(row.expires_at)}" if row.expires_at else ""
    click.echo(
        f"{row.prefix} ({row.name}) may {', '.join(row.scopes)}{expiry}. "
        "The key is not shown again:",
        err=True,
    )
    click.echo(key)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_dir_option
def show_all(as_json: bool, data_dir: Path | None) -> None:
    """List all keys, newest first. The keys themselves are not stored, so they cannot be shown."""
    from core.access import keys

    with _open_session(data_dir) as session:
        rows = keys.list_keys(session)
    if as_json:
        click.echo(json.dumps([_describe_key(row) for row in rows], indent=2))
    else:
        _print_table(rows)


@keys.command()
@click.argument("key", metavar="PREFIX|ID")
@data_dir_option
def revoke(key: str, data_dir: Path | None) -> None:
    """Revoke a key immediately. Jobs created with it remain."""
    from core.access import keys

    with _open_session(data_dir) as session:
        row = keys.revoke_key(session, key)
    click.echo(f"{row.prefix} ({row.name}) is revoked.", err=True)


@contextmanager
def _open_session(data_dir: Path | None) -> Iterator[Session]:
    """Open a transaction on the migrated database; on errors, print a sentence and exit."""
    use_data_dir(data_dir)
    from core.db import migrate
    from core.db.transactions import transaction

    try:
        migrate.upgrade_database()
        with transaction() as session:
            yield session
    except TranscribeError as error:
        tell_operator(str(error))
        sys.exit(1 if isinstance(error, InvalidInput | NotFound) else 3)


def _describe_key(row: ApiKeyRow) -> dict[str, Any]:
    from core import clock

    return {
        "id": str(row.id),
        "prefix": row.prefix,
        "name": row.name,
        "scopes": row.scopes,
        "owner_id": str(row.owner_id),
        "per_minute": row.per_minute,
        "state": _get_state(row),
        "created_at": clock.format_iso(row.created_at),
        "last_used_at": clock.format_iso(row.last_used_at),
        "expires_at": clock.format_iso(row.expires_at),
        "revoked_at": clock.format_iso(row.revoked_at),
    }


def _get_state(row: ApiKeyRow) -> str:
    from core.access import keys

    if row.revoked_at is not None:
        return "revoked"
    return "active" if keys.is_active(row) else "expired"


def _print_table(rows: Sequence[ApiKeyRow]) -> None:
    heads = ("PREFIX", "STATE", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "NAME")
    lines = [heads] + [
        (
            *(row.prefix, _get_state(row), ",".join(row.scopes), _format_time(row.created_at)),
            *(_format_time(row.last_used_at), _format_time(row.expires_at), row.name),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _format_time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "-"
