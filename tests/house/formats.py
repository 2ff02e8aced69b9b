"""The table of docs/formats.md, from the decoder itself: ``python -m tests.house.formats``."""

from __future__ import annotations

from collections.abc import Iterable

import av

from chunking.decode.container import FORMATS

BEGIN, END = "<!-- table of formats: begin -->", "<!-- table of formats: end -->"


def build_table() -> str:
    """Return a row for each container that the decoder opens, in Markdown."""
    rows: dict[str, list[str]] = {}
    extensions: dict[str, set[str]] = {}
    for name in FORMATS.split(","):
        container = av.ContainerFormat(name, "r")
        rows.setdefault(container.long_name, []).append(name)
        extensions.setdefault(container.long_name, set()).update(container.extensions & _AUDIBLE)
    lines = ["| container | names in FFmpeg | usual endings |", "|---|---|---|"]
    for title, names in sorted(rows.items(), key=lambda row: row[0].lower()):
        endings = sorted(extensions[title] | _ENDINGS.get(names[0], set()))
        lines.append(f"| {title} | {_join(names)} | {_join(f'.{ending}' for ending in endings)} |")
    return "\n".join(lines)


#: Endings that FFmpeg lists and that can hold audio.
_AUDIBLE = {
    "3g2", "3gp", "aac", "ac3", "avi", "eac3", "ec3", "f4v", "flac", "flv", "ism", "isma", "ismv",
    "m2a", "m4a", "m4b", "mj2", "mk3d", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpa", "ogg",
    "webm",
}  # fmt: skip
#: Endings that it does not list, since it recognizes these containers by their content.
_ENDINGS = {
    "aiff": {"aif", "aiff"},
    "amr": {"amr"},
    "asf": {"asf", "wma", "wmv"},
    "au": {"au"},
    "caf": {"caf"},
    "mpeg": {"mpeg", "mpg", "vob"},
    "mpegts": {"m2ts", "mts", "ts"},
    "ogg": {"oga", "ogv", "opus"},
    "w64": {"w64"},
    "wav": {"wav"},
}


def _join(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    print(build_table())
