"""A folder that is watched: what is whole, what is new, and what was done before."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcribe_api.inbox import SETTLED, Inbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def inbox(folder: Path) -> Inbox:
    return Inbox(folder, folder.parent / "out")


def test_a_file_is_told_once_when_it_has_not_changed_for_a_while(folder: Path, inbox: Inbox):
    file = folder / "talk.wav"
    file.write_bytes(b"begin")
    assert inbox.whole(0.0) == []
    assert inbox.whole(SETTLED - 0.1) == []
    file.write_bytes(b"begin and more")
    assert inbox.whole(SETTLED + 0.1) == []
    assert inbox.whole(2 * SETTLED + 0.2) == [file]
    assert inbox.whole(3 * SETTLED) == []


def test_what_is_done_stays_done_in_the_next_run_unless_it_changes(folder: Path, inbox: Inbox):
    good, bad = folder / "good.wav", folder / "bad.txt"
    for file in (good, bad):
        file.write_bytes(b"first")
    inbox.whole(0.0)
    assert inbox.whole(SETTLED) == [bad, good]
    inbox.done(good, reason=None)
    inbox.done(bad, reason="it is no recording")

    again = Inbox(folder, folder.parent / "out")
    again.whole(0.0)
    assert again.whole(SETTLED) == []
    bad.write_bytes(b"another")
    again.whole(SETTLED + 1)
    assert again.whole(2 * SETTLED + 1) == [bad]
    assert sorted(path.name for path in folder.iterdir()) == ["bad.txt", "good.wav"]


def test_what_was_not_done_is_told_in_the_next_run(folder: Path, inbox: Inbox):
    (folder / "talk.wav").write_bytes(b"sound")
    inbox.whole(0.0)
    assert inbox.whole(SETTLED)
    again = Inbox(folder, folder.parent / "out")
    again.whole(0.0)
    assert again.whole(SETTLED) == [folder / "talk.wav"]


def test_what_may_go_well_later_is_told_again_after_a_while(folder: Path, inbox: Inbox):
    file = folder / "talk.wav"
    file.write_bytes(b"sound")
    inbox.whole(0.0)
    assert inbox.whole(SETTLED) == [file]
    inbox.again(file, SETTLED)
    assert inbox.whole(SETTLED) == []
    assert inbox.whole(2 * SETTLED) == [file]


def test_a_file_that_changes_while_it_is_worked_on_is_told_again(folder: Path, inbox: Inbox):
    file = folder / "talk.wav"
    file.write_bytes(b"sound")
    inbox.whole(0.0)
    assert inbox.whole(SETTLED) == [file]
    file.write_bytes(b"more sound")
    assert inbox.whole(SETTLED + 1) == []
    inbox.done(file, reason=None)
    assert inbox.whole(2 * SETTLED + 1) == [file]


def test_folders_hidden_files_and_unfinished_ones_are_left_alone(folder: Path, inbox: Inbox):
    (folder / "folder").mkdir()
    for name in (".hidden.wav", "talk.wav.part", "talk.mp4.crdownload"):
        (folder / name).write_bytes(b"sound")
    inbox.whole(0.0)
    assert inbox.whole(SETTLED) == []


def test_a_file_that_went_away_is_no_error(folder: Path, inbox: Inbox):
    file = folder / "talk.wav"
    file.write_bytes(b"sound")
    inbox.whole(0.0)
    assert inbox.whole(SETTLED) == [file]
    file.unlink()
    assert inbox.whole(SETTLED + 1) == []
    inbox.done(file, reason="it is gone")
