"""Commands of `transcribe`, run in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from transcribe_api.cli.command import main


def run_command(*words: str) -> Result:
    """Run a command with these words, whatever comes of it."""
    return CliRunner().invoke(main, words)


def parse_findings(output: str) -> dict[str, str]:
    """Parse what `transcribe doctor` prints: each line, by what it is about."""
    lines = [line.split(maxsplit=1) for line in output.splitlines()]
    return {rest.split("  ")[0]: f"{mark} {rest}" for mark, rest in lines}
