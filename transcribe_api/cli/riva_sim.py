"""``transcribe riva-sim``: a stand-in for an NVIDIA Riva server, for development without a GPU."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import click


@click.command(
    "riva-sim",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    help="Run a stand-in for an NVIDIA Riva server; see 'transcribe riva-sim --help'.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def riva_sim(arguments: tuple[str, ...]) -> None:
    if find_spec("riva") is None:
        raise click.ClickException("install it with: pip install -e '.[riva]'")
    # Replace this process, since it must not load an engine.
    os.execv(sys.executable, [sys.executable, "-m", "riva_sim", *arguments])  # noqa: S606
