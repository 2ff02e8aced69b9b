"""Names of result folders, made of whatever a caller calls a recording."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

#: Bytes of a name: file systems take 255, and a few are left for what makes it unique.
MAX_NAME_BYTES = 200
DEFAULT_NAME = "recording"
#: Format characters that change how a name is read: scripts such as Persian and Hindi need them.
_JOINERS = "\u200c\u200d"


def build_folder_name(filename: str, *, keep_suffix: bool = False) -> str:
    """One part of a path, never empty, ``.`` or ``..``, without characters that nobody sees."""
    basename = re.split(r"[/\\]", filename)[-1]
    name = _clean(basename)
    if not keep_suffix:
        name = _clean(re.sub(r"(?<=[^.])\.[^.]*$", "", name))
    truncated = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return _clean(truncated) or DEFAULT_NAME


def choose_folder_name(filename: str, used_names: Collection[str]) -> str:
    """A name for a file's results that no other file has: ``x``, else ``x.wav``, else ``x.wav_``.

    Names that differ in case alone are one: some file systems have it so.
    """
    folded = {name.casefold() for name in used_names}
    name = build_folder_name(filename)
    if name.casefold() in folded:
        name = build_folder_name(filename, keep_suffix=True)
    while name.casefold() in folded:
        name += "_"
    return name


def clean_name(name: str) -> str:
    """A name without characters that nobody sees, but for the joiners that scripts need."""
    return "".join(
        char for char in name if char in _JOINERS or unicodedata.category(char)[0] != "C"
    )


def _clean(name: str) -> str:
    # Dots ahead hide a folder or lead out of it; dots and blanks at the end Windows drops.
    name = re.sub(r"^[\s.]+|[\s.]+$", "", clean_name(name))
    return name if name.strip(_JOINERS) else ""
