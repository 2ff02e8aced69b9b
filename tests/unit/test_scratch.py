"""What killed processes left is cleared away, and nothing that is in use."""

from __future__ import annotations

import os

from core import clock, scratch
from core.settings import settings


def test_only_what_nobody_writes_any_more_is_removed():
    folder = settings().scratch_dir
    (folder / "prepare-old").mkdir(parents=True)
    (folder / "prepare-old" / "recording.pcm").write_bytes(b"x")
    (folder / "upload-new").write_bytes(b"x")
    unfinished = settings().objects_dir / ".unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "old").write_bytes(b"x")
    before = clock.now() - 25 * 3600
    for old in (folder / "prepare-old", unfinished / "old"):
        os.utime(old, (before, before))
    assert scratch.sweep() == 2
    assert [one.name for one in folder.iterdir()] == ["upload-new"]
    assert list(unfinished.iterdir()) == []


def test_nothing_is_there_at_the_first_start():
    assert scratch.sweep() == 0
