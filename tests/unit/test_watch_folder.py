"""A folder that is watched: what is whole, what is new, and what was done before."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcribe_api.cli.watch_folder import SETTLED_SECONDS, WatchFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def inbox(folder: Path) -> WatchFolder:
    return WatchFolder(folder, folder.parent / "out")


def test_a_file_is_told_once_when_it_has_not_changed_for_a_while(folder: Path, inbox: WatchFolder):
    file = folder / "talk.wav"
    file.write_bytes(b"begin")
    assert inbox.list_ready(0.0) == []
    assert inbox.list_ready(SETTLED_SECONDS - 0.1) == []
    file.write_bytes(b"begin and more")
    assert inbox.list_ready(SETTLED_SECONDS + 0.1) == []
    assert inbox.list_ready(2 * SETTLED_SECONDS + 0.2) == [file]
    assert inbox.list_ready(3 * SETTLED_SECONDS) == []


def test_what_is_done_stays_done_in_the_next_run_unless_it_changes(
    folder: Path, inbox: WatchFolder
):
    good, bad = folder / "good.wav", folder / "bad.txt"
    for file in (good, bad):
        file.write_bytes(b"first")
    inbox.list_ready(0.0)
    assert inbox.list_ready(SETTLED_SECONDS) == [bad, good]
    inbox.mark_done(good, reason=None)
    inbox.mark_done(bad, reason="it is no recording")

    again = WatchFolder(folder, folder.parent / "out")
    again.list_ready(0.0)
    assert again.list_ready(SETTLED_SECONDS) == []
    bad.write_bytes(b"another")
    again.list_ready(SETTLED_SECONDS + 1)
    assert again.list_ready(2 * SETTLED_SECONDS + 1) == [bad]
    assert sorted(path.name for path in folder.iterdir()) == ["bad.txt", "good.wav"]


def test_what_was_not_done_is_told_in_the_next_run(folder: Path, inbox: WatchFolder):
    (folder / "talk.wav").write_bytes(b"sound")
    inbox.list_ready(0.0)
    assert inbox.list_ready(SETTLED_SECONDS)
    again = WatchFolder(folder, folder.parent / "out")
    again.list_ready(0.0)
    assert again.list_ready(SETTLED_SECONDS) == [folder / "talk.wav"]


def test_what_may_go_well_later_is_told_again_after_a_while(folder: Path, inbox: WatchFolder):
    file = folder / "talk.wav"
    file.write_bytes(b"sound")
    inbox.list_ready(0.0)
    assert inbox.list_ready(SETTLED_SECONDS) == [file]
    inbox.retry_later(file, SETTLED_SECONDS)
    assert inbox.list_ready(SETTLED_SECONDS) == []
    assert inbox.list_ready(2 * SETTLED_SECONDS) == [file]


def test_a_file_that_changes_while_it_is_worked_on_is_told_again(folder: Path, inbox: WatchFolder):
    file = folder / "talk.wav"
    file.write_bytes(b"sound")
    inbox.list_ready(0.0)
    assert inbox.list_ready(SETTLED_SECONDS) == [file]
    file.write_bytes(b"more sound")
    assert inbox.list_ready(SETTLED_SECONDS + 1) == []
    inbox.mark_done(file, reason=None)
    assert inbox.list_ready(2 * SETTLED_SECONDS + 1) == [file]


def test_folders_hidden_files_and_unfinished_ones_are_left_alone(folder: Path, inbox: WatchFolder):
    (folder / "folder").mkdir()
    for name in (".hidden.wav", "talk.wav.part", "talk.mp4.crdownload"):
        (folder / name).write_bytes(b"sound")
    inbox.list_ready(0.0)
    assert inbox.list_ready(SETTLED_SECONDS) == []


def test_a_file_that_went_away_is_no_error(folder: Path, inbox: WatchFolder):
    file = folder / "talk.wav"
    file.write_bytes(b"sound")
    inbox.list_ready(0.0)
    assert inbox.list_ready(SETTLED_SECONDS) == [file]
    file.unlink()
    assert inbox.list_ready(SETTLED_SECONDS + 1) == []
    inbox.mark_done(file, reason="it is gone")
