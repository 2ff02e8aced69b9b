"""What the service keeps is for its own account alone, whatever the umask is."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from core.filesystem import private_files
from core.settings import settings
from core.storage import storage
from tests.integration.conftest import RunningStack, started, write_sample
from tests.security.conftest import make_tables
from transcribe_api.app import create_app
from transcribe_api.client import Client, local


def open_to_others(folder: Path) -> list[str]:
    """What other accounts could read if the folders above let them; sockets need a path to them."""
    found = [folder, *folder.rglob("*")]
    return [
        f"{stat.S_IMODE(path.lstat().st_mode):o} {path.relative_to(folder)}"
        for path in found
        if (path.is_file() or path.is_dir()) and private_files.is_open_to_others(path)
    ]


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack that has transcribed a recording."""
    folder = tmp_path_factory.mktemp("private")
    before = os.umask(0o022)
    try:
        with started(folder / "data") as stack:
            token = (stack.data_dir / "token").read_text()
            clip = write_sample(folder / "clip.wav", seconds=12)
            with Client(stack.url, key=token) as client:
                job_id = client.submit(clip)["job_id"]
                *_, last = client.events(job_id)
            assert last.data["status"] == "completed", last
            yield stack
    finally:
        os.umask(before)


@pytest.mark.processes
def test_a_stack_at_work_leaves_nothing_that_others_can_read(worked: RunningStack):
    names = {path.name for path in worked.data_dir.rglob("*")}
    assert {"transcribe.db", "source", "redis", "logs", "stack.json", "token"} <= names
    # The tests' own log was made before the stack began. Numbers for metrics are written by a
    # library that asks nobody for a mode, into a folder of 0700.
    may = re.compile(r"644 up\.log|644 tmp/\S+\.locked/metrics-\S+\.db")
    assert [one for one in open_to_others(worked.data_dir) if not may.fullmatch(one)] == []


@pytest.mark.processes
def test_the_command_line_goes_on_without_a_key_when_there_is_one(worked: RunningStack, tmp_path):
    from tests.security.conftest import make_key, transcribe

    mine = make_key(worked.data_dir)
    jobs = f"{worked.url}/api/transcribe/jobs"
    assert httpx2.get(jobs).status_code == 401
    assert httpx2.get(jobs, headers={"X-API-Key": mine}).json()["jobs"] == []
    listed = transcribe("jobs", "list", "--data-dir", worked.data_dir)
    assert "completed" in listed.stdout
    clip = write_sample(tmp_path / "clip.wav", seconds=6)
    transcribe(
        clip, "-o", tmp_path / "out",
        TRANSCRIBE_URL=worked.url, TRANSCRIBE_DATA_DIR=str(worked.data_dir),
    )  # fmt: skip
    result = tmp_path / "out" / "final_transcription.json"
    assert result.exists()
    assert not stat.S_IMODE(result.stat().st_mode) & 0o033, "results follow the umask, as ever"
    assert stat.S_IMODE(result.stat().st_mode) & 0o044


def test_a_data_directory_that_was_open_is_closed_at_the_start(data_dir: Path):
    """As earlier versions made it."""
    for folder in (data_dir, data_dir / "objects", data_dir / "redis"):
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    for name in ("transcribe.db", "redis/appendonly.aof"):
        (data_dir / name).touch()
        (data_dir / name).chmod(0o644)
    outside = data_dir.parent / "outside"
    outside.touch(mode=0o644)
    outside.chmod(0o644)
    (data_dir / "link").symlink_to(outside)
    create_app()
    assert [one for one in open_to_others(data_dir) if not one.endswith(" link")] == []
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644, "links are not followed"


def test_a_folder_that_others_use_too_is_left_to_them(tmp_path: Path, monkeypatch):
    """Somebody may name /tmp, a home or a disk as the data directory."""
    shared, disk, home = tmp_path / "tmp", tmp_path / "disk", tmp_path / "home"
    for folder in (shared, disk, home):
        folder.mkdir()
    shared.chmod(0o1777)
    disk.chmod(0o755)
    home.chmod(0o755)
    (disk / "lost+found").mkdir(mode=0o700)
    (disk / "theirs").mkdir()
    (disk / "theirs").chmod(0o755)
    monkeypatch.setattr(Path, "home", lambda: home)
    assert not private_files.make_data_dir(shared)
    assert not private_files.make_data_dir(home)
    assert private_files.make_data_dir(disk)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (shared, home)] == [0o1777, 0o755]
    assert stat.S_IMODE((disk / "theirs").stat().st_mode) == 0o755


def test_a_data_directory_that_cannot_be_closed_is_said(data_dir: Path, monkeypatch, capsys):
    data_dir.mkdir(mode=0o755)
    data_dir.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # as on file systems without modes
    create_app()
    assert "other accounts can read the data directory" in capsys.readouterr().err


def test_what_is_made_is_private_whatever_the_umask(data_dir: Path, database):
    before = os.umask(0)
    try:
        create_app()
        storage().put_bytes("jobs/1/a", b"x")
        file = data_dir / "plain"
        file.write_bytes(b"x")
        storage().put_file("jobs/1/b", file)
        storage().move_file("jobs/2/c", file)
        private_files.write_text(data_dir / "deep.json", "{}")
        private_files.make_folder(data_dir / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert open_to_others(data_dir) == []


def test_the_tables_are_made_private(tmp_path: Path):
    make_tables(tmp_path / "data")
    assert open_to_others(tmp_path / "data") == []


def test_the_doctor_warns_of_open_doors(data_dir: Path, monkeypatch):
    from transcribe_api.cli import doctor

    def told() -> dict[str, doctor.Finding]:
        settings.cache_clear()
        return {one.subject: one for one in doctor.run_checks("127.0.0.1", 0)}

    create_app()
    assert told()["keys"].state is doctor.State.OK
    assert told()["data directory"].state is doctor.State.OK
    monkeypatch.setenv("AUTH", "off")
    warned = told()["keys"]
    assert warned.state is doctor.State.WARNING
    assert "AUTH" in warned.detail
    data_dir.chmod(0o755)
    assert told()["data directory"].state is doctor.State.WARNING


def test_the_token_of_the_stack_is_found_by_the_python_client(data_dir: Path, database):
    create_app()
    assert local.read_token("http://127.0.0.1:8000") == (data_dir / "token").read_text()
