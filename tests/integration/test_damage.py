"""Starts on what is damaged or impossible: a sentence and an exit code, or a job that goes on."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import psutil
import pytest

from core.config.connection_urls import redis_socket
from tests.faults import disk
from tests.integration.conftest import (
    TRANSCRIBE,
    RunningStack,
    clean_environment,
    marked,
    started,
    wait_until,
)
from tests.killing import kill_processes
from transcribe_api.client import Client

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]


def up(data_dir: Path, *, most_files: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if most_files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))

    done = subprocess.run(
        [TRANSCRIBE, "up", "--port", "0", "--no-flower"],
        env=clean_environment(TRANSCRIBE_DATA_DIR=str(data_dir)),
        capture_output=True, text=True, check=False, timeout=90, preexec_fn=limit,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert marked(data_dir) == [], "nothing is left running"
    return done


def kill(stack: RunningStack) -> None:
    """All of it at once, as a power cut does."""
    everyone = [psutil.Process(stack.process.pid), *stack.processes()]
    kill_processes(everyone)
    psutil.wait_procs(everyone)
    stack.process.wait()
    redis_socket(stack.data_dir).unlink(missing_ok=True)


def spoil_base(files: Path) -> None:
    """Redis crashes on it."""
    [base] = files.glob("*.base.rdb")
    size = base.stat().st_size
    os.truncate(base, size // 2)
    os.truncate(base, size + 300)


def spoil_log(files: Path) -> None:
    [log] = files.glob("*.incr.aof")
    log.write_bytes(b"no command at all\r\n" * 100)


def cut_off_log(files: Path) -> None:
    """Redis loads it, and has forgotten half of what it knew."""
    [log] = files.glob("*.incr.aof")
    os.truncate(log, log.stat().st_size // 2)


@pytest.mark.parametrize(
    ("spoil", "is_refused"), [(spoil_base, True), (spoil_log, True), (cut_off_log, False)]
)
def test_a_job_goes_on_although_what_redis_had_written_is_spoiled(
    tmp_path: Path, beginning: Path, spoil: Callable[[Path], None], is_refused: bool
):
    data_dir = tmp_path / "data"
    with started(data_dir, "--no-flower") as first:
        with Client(first.url) as client:
            undisturbed = client.submit(beginning)["job_id"]
            for _ in client.events(undisturbed):
                pass
            expected = client.result(undisturbed)["segments"]
            job_id = client.submit(beginning)["job_id"]
            next(event for event in client.events(job_id) if event.data.get("stage") == "listen")
        kill(first)
    spoil(data_dir / "redis" / "appendonlydir")
    with started(data_dir, "--no-flower") as second, Client(second.url) as client:
        wait_until(lambda: client.status(job_id)["status"] in ("completed", "failed"))
        told = client.status(job_id)
        assert (told["status"], told["warnings"]) == ("completed", [])
        assert client.result(job_id)["segments"] == expected
    kept = list((data_dir / "redis").glob("appendonlydir.damaged-*"))
    assert len(kept) == is_refused
    said = (data_dir / "up.log").read_text()
    assert said.count("Redis could not load its damaged files") == is_refused
    assert "check-aof" not in said


def test_a_damaged_database_stops_the_start_and_stays_as_it_is(tmp_path: Path):
    file = tmp_path / "transcribe.db"
    file.write_bytes(b"Dear Sir or Madam" * 1000)
    done = up(tmp_path)
    assert done.returncode == 3
    assert f"the database {file} is damaged" in done.stderr
    assert "transcribe restore" in done.stderr
    assert file.read_bytes() == b"Dear Sir or Madam" * 1000


def test_too_few_open_files_are_named_with_the_figure(tmp_path: Path):
    done = up(tmp_path, most_files=64)
    assert done.returncode == 3
    assert "can have 64 open files and connections" in done.stderr
    assert "ulimit -n" in done.stderr


def test_a_data_directory_that_is_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("something")
    done = up(tmp_path / "file")
    assert done.returncode == 3
    assert "is a file" in done.stderr
    assert "TRANSCRIBE_DATA_DIR" in done.stderr


def test_the_stack_bears_a_disk_without_a_byte_and_goes_on_when_there_is_room(
    tmp_path: Path, beginning: Path
):
    with disk.small(tmp_path / "data", megabytes=60) as small:
        if not small.can_be_filled:
            pytest.skip("only root may mount a disk that can be filled")
        with started(small.folder, "--no-flower") as stack, Client(stack.url) as client:
            job_id = client.submit(beginning)["job_id"]
            next(event for event in client.events(job_id) if event.data.get("stage") == "listen")
            with small.full():
                wait_until(lambda: "Short write" in (stack.data_dir / "logs/redis.log").read_text())
                answer = httpx2.get(f"{stack.url}/readyz")
                assert answer.status_code == 503
                assert "full" in answer.json()["checks"].values()
            wait_until(lambda: client.status(job_id)["status"] in ("completed", "failed"))
            told = client.status(job_id)
            assert (told["status"], told["warnings"]) == ("completed", [])
            assert stack.process.poll() is None
