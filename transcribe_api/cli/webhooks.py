"""``transcribe webhooks …``: commands for operators of webhooks."""

from __future__ import annotations

import uuid
from pathlib import Path

import click

from transcribe_api.cli.service import data_dir_option, exit_on_errors, use_data_dir


@click.group()
def webhooks() -> None:
    """Webhooks, which notify callers that a job has ended."""


@webhooks.command()
@click.option("--owner", type=click.UUID, help="Owner of the jobs; default: jobs without an owner.")
@data_dir_option
def secret(owner: uuid.UUID | None, data_dir: Path | None) -> None:
    """Print the secret that signs webhooks, for the configuration of the receiver."""
    use_data_dir(data_dir)
    from core import webhooks as deliveries
    from core.db import migrate  # after the settings are known

    with exit_on_errors():
        migrate.upgrade_database()
        click.echo(deliveries.get_signing_secret(owner))
