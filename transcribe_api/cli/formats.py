"""The option --format: formats of a transcript."""

from __future__ import annotations

from typing import Any

import click

FORMATS = ("srt", "vtt", "txt", "tsv", "json", "rttm", "docx")
FORMATS_HELP = f"Write only these formats, as transcription.NAME: {','.join(FORMATS)}."


class Formats(click.ParamType[list[str]]):
    """Format names, separated by commas."""

    name = "formats"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        names = [name.strip().lower() for name in str(value).split(",")]
        for name in names:
            if name not in FORMATS:
                self.fail(f"{name!r} is not a format; allowed: {', '.join(FORMATS)}", param, ctx)
        return list(dict.fromkeys(names))
