"""A folder in which recordings appear: find complete files that are not done yet.

Nothing in the folder is moved or changed. A file in the results directory records what is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transcribe_api.folder_names import choose_folder_name

#: Seconds without a change after which a file counts as complete.
SETTLED_SECONDS = 3.0
#: Name of the record in the results directory.
RECORD_FILENAME = ".transcribed.json"

#: Suffixes that programs use for incomplete downloads.
_PARTIAL_SUFFIXES = {".part", ".partial", ".tmp", ".crdownload", ".download"}

#: Identifies a version of a file: size in bytes, and time of the last change in nanoseconds.
_FileStamp = tuple[int, int]


class WatchFolder:
    """Identifies files by name, size and time: a changed file counts as a new one."""

    def __init__(self, folder: Path, results: Path) -> None:
        self._folder = folder
        self._record_file = results / RECORD_FILENAME
        self._done: dict[str, dict[str, Any]] = self._read()
        # Earlier versions named folders like their files.
        self._folders: dict[str, str] = {
            name: entry.get("folder", name) for name, entry in self._done.items()
        }
        self._seen: dict[Path, tuple[_FileStamp, float]] = {}
        #: Files that `list_ready` returned, with their versions at that time.
        self._handed_out: dict[Path, _FileStamp] = {}

    def list_ready(self, now: float) -> list[Path]:
        """Return the new files that did not change for a while; each file is returned once.

        *now*: seconds of a monotonic clock.
        """
        present = dict(self._scan_folder())
        self._seen = {
            file: (stamp, self._unchanged_since(file, stamp, now))
            for file, stamp in present.items()
        }
        ready = sorted(file for file in present if self._is_ready(file, now))
        self._handed_out |= {file: present[file] for file in ready}
        return ready

    def mark_done(self, file: Path, **details: Any) -> None:
        """Record that a file, in the version that `list_ready` returned, is finished or failed."""
        size, changed = self._handed_out.pop(file)
        folder = self.folder_name(file)
        self._done[file.name] = {"size": size, "changed": changed, "folder": folder, **details}
        self._write()

    def folder_name(self, file: Path) -> str:
        """Return the name of the results folder of a file: always the same, and unique."""
        if file.name not in self._folders:
            self._folders[file.name] = choose_folder_name(file.name, self._folders.values())
        return self._folders[file.name]

    def retry_later(self, file: Path, now: float) -> None:
        """Make `list_ready` return the file again, after a while."""
        self._handed_out.pop(file)
        if file in self._seen:
            self._seen[file] = (self._seen[file][0], now)

    def _scan_folder(self) -> Iterator[tuple[Path, _FileStamp]]:
        for file in self._folder.iterdir():
            if file.name.startswith(".") or file.suffix in _PARTIAL_SUFFIXES or not file.is_file():
                continue
            try:
                file_stat = file.stat()
            except OSError:  # it was removed meanwhile
                continue
            yield file, (file_stat.st_size, file_stat.st_mtime_ns)

    def _unchanged_since(self, file: Path, stamp: _FileStamp, now: float) -> float:
        previous, since = self._seen.get(file, (None, now))
        return since if previous == stamp else now

    def _is_ready(self, file: Path, now: float) -> bool:
        stamp, since = self._seen[file]
        entry = self._done.get(file.name, {})
        is_done = (entry.get("size"), entry.get("changed")) == stamp
        return not is_done and file not in self._handed_out and now - since >= SETTLED_SECONDS

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            record: dict[str, dict[str, Any]] = json.loads(self._record_file.read_text())
        except FileNotFoundError:
            return {}
        return record

    def _write(self) -> None:
        self._record_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._record_file.with_suffix(".new")
        temporary.write_text(json.dumps(self._done, indent=1))
        temporary.replace(self._record_file)
