"""``transcribe webhooks …``: what an operator needs to know of webhooks."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

import click

from core.errors import TranscribeError
from core.settings import settings
from transcribe_api.cli_service import NO_SERVICE


@click.group()
def webhooks() -> None:
    """Webhooks, which tell callers that a job is over."""


@webhooks.command()
@click.option("--owner", type=click.UUID, help="Owner of the jobs; without it, of those of nobody.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path),
    help="Where the service keeps everything; the same as TRANSCRIBE_DATA_DIR.",
)  # fmt: skip
def secret(owner: uuid.UUID | None, data_dir: Path | None) -> None:
    """Print the secret that webhooks are signed with, to be put into the receiver."""
    if data_dir is not None:
        os.environ["TRANSCRIBE_DATA_DIR"] = str(data_dir)
        settings.cache_clear()
    from core import records  # after the settings are known
    from core import webhooks as deliveries

    try:
        records.upgrade()
        click.echo(deliveries.secret(owner))
    except TranscribeError as error:
        click.echo(f"transcribe: {error}", err=True)
        sys.exit(NO_SERVICE)
