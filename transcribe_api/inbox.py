"""A folder in which recordings appear: which are whole, and which were done before.

Nothing in it is moved or changed. What was done is remembered in a file beside the results.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transcribe_api.folder_names import choose_folder_name

#: Seconds without a change after which a file counts as whole.
SETTLED = 3.0
#: In the directory of the results.
RECORD = ".transcribed.json"

#: Names that programs give to what they have not fetched to the end.
_UNFINISHED = {".part", ".partial", ".tmp", ".crdownload", ".download"}

#: What a change shows by: size in bytes, and time of the last change in nanoseconds.
_Form = tuple[int, int]


class Inbox:
    """Remembers by name, size and time: a file that was changed is another one."""

    def __init__(self, folder: Path, results: Path) -> None:
        self._folder = folder
        self._record = results / RECORD
        self._done: dict[str, dict[str, Any]] = self._read()
        # Earlier versions named folders as their files.
        self._folders = {name: told.get("folder", name) for name, told in self._done.items()}
        self._seen: dict[Path, tuple[_Form, float]] = {}
        #: Files that were told, as they were then.
        self._taken: dict[Path, _Form] = {}

    def whole(self, now: float) -> list[Path]:
        """The files that are new and did not change for a while; each is told once.

        *now*: seconds of a clock that never goes back.
        """
        present = dict(self._present())
        self._seen = {file: (form, self._since(file, form, now)) for file, form in present.items()}
        ready = sorted(file for file in present if self._is_ready(file, now))
        self._taken |= {file: present[file] for file in ready}
        return ready

    def done(self, file: Path, **told: Any) -> None:
        """Remember that a file, as it was when it was told, is done with, well or not."""
        size, changed = self._taken.pop(file)
        folder = self.folder_name(file)
        self._done[file.name] = {"size": size, "changed": changed, "folder": folder, **told}
        self._write()

    def folder_name(self, file: Path) -> str:
        """Of the folder for its results: always the same, and no other file's."""
        if file.name not in self._folders:
            self._folders[file.name] = choose_folder_name(file.name, self._folders.values())
        return self._folders[file.name]

    def again(self, file: Path, now: float) -> None:
        """Have a file told once more, after a while."""
        self._taken.pop(file)
        if file in self._seen:
            self._seen[file] = (self._seen[file][0], now)

    def _present(self) -> Iterator[tuple[Path, _Form]]:
        for file in self._folder.iterdir():
            if file.name.startswith(".") or file.suffix in _UNFINISHED or not file.is_file():
                continue
            try:
                found = file.stat()
            except OSError:  # it went away just now
                continue
            yield file, (found.st_size, found.st_mtime_ns)

    def _since(self, file: Path, form: _Form, now: float) -> float:
        before, since = self._seen.get(file, (None, now))
        return since if before == form else now

    def _is_ready(self, file: Path, now: float) -> bool:
        form, since = self._seen[file]
        before = self._done.get(file.name, {})
        is_done = (before.get("size"), before.get("changed")) == form
        return not is_done and file not in self._taken and now - since >= SETTLED

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            known: dict[str, dict[str, Any]] = json.loads(self._record.read_text())
        except FileNotFoundError:
            return {}
        return known

    def _write(self) -> None:
        self._record.parent.mkdir(parents=True, exist_ok=True)
        half = self._record.with_suffix(".new")
        half.write_text(json.dumps(self._done, indent=1))
        half.replace(self._record)
