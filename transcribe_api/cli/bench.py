"""``transcribe bench``: measure the speed of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]


@click.command(
    short_help="Measure speed and memory.",
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def bench(words: tuple[str, ...]) -> None:
    """Measure speed and memory; arguments are those of ``python -m bench``. Needs a checkout."""
    if not (ROOT / "bench" / "__main__.py").exists():
        click.echo("transcribe: the benchmarks are in the repository, not in the package", err=True)
        sys.exit(1)
    sys.exit(subprocess.call([sys.executable, "-m", "bench", *words], cwd=ROOT))
