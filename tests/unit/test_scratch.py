"""What killed processes left is cleared away, and nothing that is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import clock, scratch
from core.settings import settings
from core.storage.directory import DirectoryStorage

#: Makes a folder as every step does, or a file as every object is, and is killed while it writes.
_KILLED = """
import os, signal
from pathlib import Path
from core import scratch
with scratch.temporary_{kind}("prepare-", Path({parent!r})) as made:
    (made / "recording.pcm" if made.is_dir() else made).write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def die_in(parent: Path, kind: str) -> None:
    code = _KILLED.format(parent=str(parent), kind=kind)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode < 0
    assert [one.read_bytes() for one in parent.rglob("*") if one.is_file()] == [b"x"]


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("where", ["scratch", "objects/.unfinished"])
def test_what_a_killed_process_left_is_removed_at_once(where: str, kind: str):
    parent = settings().transcribe_data_dir / where
    die_in(parent, kind)
    with scratch.temporary_folder("prepare-", parent) as in_use:
        assert scratch.remove_leftovers() == 1
        assert list(parent.iterdir()) == [in_use]
    assert list(parent.iterdir()) == []


def test_an_object_that_is_being_written_is_not_swept_away(tmp_path: Path):
    store = DirectoryStorage(settings().objects_dir)
    with store._open_unfinished("jobs/1/source") as unfinished:
        unfinished.write_bytes(b"x")
        assert scratch.remove_leftovers() == 0
    assert store.get_bytes("jobs/1/source") == b"x"


@pytest.mark.parametrize(("end", "left"), [("", 0), ("os.abort()", 1)])
def test_the_temporary_files_of_a_worker_go_with_it(end: str, left: int):
    parent = settings().transcribe_data_dir / "tmp"
    worker = "import os, tempfile; from core import scratch; scratch.use_own_tempdir()"
    subprocess.run([sys.executable, "-c", f"{worker}; tempfile.mkdtemp(); {end}"], check=False)
    assert len(list(parent.glob("*/tmp*"))) == left
    assert scratch.remove_leftovers() == left
    assert list(parent.iterdir()) == []


def test_the_folder_that_a_pool_has_among_them_is_removed_first():
    worker = "from multiprocessing import util; from core import scratch"
    code = f"{worker}; scratch.use_own_tempdir(); util.get_temp_dir()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b""
    assert list((settings().transcribe_data_dir / "tmp").iterdir()) == []


def test_what_is_not_locked_is_removed_when_it_is_old():
    folder = settings().scratch_dir
    folder.mkdir(parents=True)
    (folder / "new").write_bytes(b"x")
    (folder / "of-an-older-version").mkdir()
    (folder / "old").write_bytes(b"x")
    before = clock.now() - 25 * 3600
    os.utime(folder / "old", (before, before))
    assert scratch.remove_leftovers() == 1
    assert sorted(one.name for one in folder.iterdir()) == ["new", "of-an-older-version"]


def test_a_folder_that_a_sweep_took_for_a_dead_one_is_made_again(monkeypatch: pytest.MonkeyPatch):
    taken, flock = [], scratch.fcntl.flock

    def late(lock: int, how: int) -> None:
        if not taken:
            [made] = settings().scratch_dir.iterdir()
            taken.append(made)
            made.rmdir()
        flock(lock, how)

    monkeypatch.setattr(scratch.fcntl, "flock", late)
    with scratch.temporary_folder("prepare-") as folder:
        assert folder.is_dir()
        assert folder not in taken


def test_a_file_keeps_another_name_that_it_was_given(tmp_path: Path):
    with scratch.temporary_file("object-", tmp_path / "unfinished") as unfinished:
        unfinished.write_bytes(b"x")
        unfinished.replace(tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"x"
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_file_of_what_fails_is_gone(tmp_path: Path):
    with (
        pytest.raises(ValueError, match="in the middle"),
        scratch.temporary_file("object-", tmp_path),
    ):
        raise ValueError("in the middle")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_there_at_the_first_start():
    assert scratch.remove_leftovers() == 0
