"""What is given to a measurement on the command line, and refused before hours are spent on it."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser(about: str | None) -> argparse.ArgumentParser:
    """*about*: the text of the module, shown as it is."""
    return argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def folder(text: str) -> Path:
    """Of recordings, with what is known of each beside it; a type for arguments."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return path


def file(text: str) -> Path:
    """A recording; a type for arguments."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path
