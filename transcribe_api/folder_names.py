"""Names of result folders, derived from the names of recordings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

#: Bytes of a name: file systems allow 255, and the rest is for making it unique.
MAX_NAME_BYTES = 200
DEFAULT_NAME = "recording"
#: Format characters that affect how scripts such as Persian and Hindi are displayed.
_JOINERS = "\u200c\u200d"


def build_folder_name(filename: str, *, keep_suffix: bool = False) -> str:
    """Return a path component: not empty, ``.`` or ``..``, without invisible characters."""
    basename = re.split(r"[/\\]", filename)[-1]
    name = _clean(basename)
    if not keep_suffix:
        name = _clean(re.sub(r"(?<=[^.])\.[^.]*$", "", name))
    truncated = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return _clean(truncated) or DEFAULT_NAME


def choose_folder_name(filename: str, used_names: Collection[str]) -> str:
    """Return a unique name for the results of a file: ``x``, else ``x.wav``, else ``x.wav_``.

    Names that differ only in case count as equal, as on some file systems.
    """
    folded = {name.casefold() for name in used_names}
    name = build_folder_name(filename)
    if name.casefold() in folded:
        name = build_folder_name(filename, keep_suffix=True)
    while name.casefold() in folded:
        name += "_"
    return name


def clean_name(name: str) -> str:
    """Return the name without invisible characters, except joiners, which some scripts need."""
    return "".join(
        char for char in name if char in _JOINERS or unicodedata.category(char)[0] != "C"
    )


def _clean(name: str) -> str:
    # Leading dots hide a folder or lead out of it; Windows drops dots and blanks at the end.
    name = re.sub(r"^[\s.]+|[\s.]+$", "", clean_name(name))
    return name if name.strip(_JOINERS) else ""
