"""``transcribe subtitles lint FILE…``: check subtitle files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from transcripts.formats import Layout
from transcripts.formats.lint import lint as find_faults
from transcripts.formats.reading import Fault

_DEFAULT_LAYOUT = Layout()


@click.group()
def subtitles() -> None:
    """Subtitle files, SubRip (.srt) and WebVTT (.vtt)."""


@subtitles.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--max-line-length", type=click.IntRange(1), default=_DEFAULT_LAYOUT.max_line_length,
              show_default=True, help="Columns; a full-width character takes two.")  # fmt: skip
@click.option(
    "--max-lines", type=click.IntRange(1), default=_DEFAULT_LAYOUT.max_lines, show_default=True
)
@click.option("--max-cps", type=click.FloatRange(1), default=_DEFAULT_LAYOUT.max_cps,
              show_default=True, help="Columns per second.")  # fmt: skip
@click.option("--min-duration", type=click.FloatRange(0), default=_DEFAULT_LAYOUT.min_duration,
              show_default=True, help="Seconds.")  # fmt: skip
@click.option("--max-duration", type=click.FloatRange(0.1), default=_DEFAULT_LAYOUT.max_duration,
              show_default=True, help="Seconds.")  # fmt: skip
@click.option("--gap", type=click.FloatRange(0), default=_DEFAULT_LAYOUT.gap, show_default=True,
              help="Seconds between two cues.")  # fmt: skip
@click.option(
    "--strict", is_flag=True, help="Exit code 1 also for faults that cannot be corrected."
)
def lint(files: Sequence[Path], strict: bool, **sizes: Any) -> None:
    """Report faults in FILES: of the format, or cues too long, too fast or too short to read.

    Prints one line per fault: file, cue, rule and description. Exit code 1 if a fault can be
    corrected. A fast cue that another one follows at once cannot be shown longer, so it does not
    count.
    """
    try:
        layout = Layout(**sizes)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    faults = [(file, fault) for file in files for fault in _find_faults(file, layout)]
    for file, fault in faults:
        click.echo(f"{file}:{fault.cue}: {fault.rule}: {fault.text}")
    sys.exit(any(strict or fault.mendable for _, fault in faults))


def _find_faults(file: Path, layout: Layout) -> Sequence[Fault]:
    try:
        return find_faults(file.read_text(encoding="utf-8-sig"), layout)
    except UnicodeDecodeError as error:
        return [Fault(0, "form", f"the file is not UTF-8: {error.reason} at byte {error.start}")]
