"""The stack comes up beside others, leaves nothing behind, and goes on where it was killed."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.factories.transcripts import list_texts
from tests.integration.conftest import (
    SAMPLE,
    TRANSCRIBE,
    RunningStack,
    clean_environment,
    command_of,
    marked,
    started,
    wait_until,
    write_sample,
)
from tests.killing import kill_processes
from transcribe_api.client import Client

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]


def test_a_killed_stack_goes_on_where_it_was(stack: RunningStack, tmp_path: Path):
    """Beside another stack; and nothing of the killed one lives on."""
    with Client(stack.url) as other:
        undisturbed = other.submit(SAMPLE)["job_id"]
        *_, last = other.events(undisturbed)
        expected = list_texts(other.result(undisturbed))

    data_dir = tmp_path / "killed"
    with started(data_dir) as first:
        with Client(first.url) as client:
            job_id = client.submit(SAMPLE)["job_id"]
            next(event for event in client.events(job_id) if event.name == "segment")
        left = first.processes()
        first.process.kill()
        first.process.wait()
        assert any(one.is_running() for one in left), "the children outlive a kill -9"

        with started(data_dir, "--port", str(urlsplit(first.url).port)) as second:
            assert not any(one.is_running() for one in left), "the next start ends the leftovers"
            assert second.url == first.url, "who had the port, too"
            with Client(second.url) as client:
                *_, last = client.events(job_id)
                assert last.data["status"] == "completed"
                assert list_texts(client.result(job_id)) == expected
            mine = second.processes()
            second.process.send_signal(signal.SIGINT)
            second.process.wait(60)
            assert not any(one.is_running() for one in mine), "Ctrl-C leaves nothing behind"
    assert list((data_dir / "scratch").glob("*")) == []


def test_a_part_that_takes_longer_than_its_lease_is_not_given_to_another(
    tmp_path: Path, beginning: Path
):
    """PocketSphinx holds Python's lock for seconds; the worker's main process keeps the lease."""
    data_dir = tmp_path / "short-leases"
    with started(data_dir, LEASE_SECONDS="2") as stack, Client(stack.url) as client:
        job_id = client.submit(beginning)["job_id"]
        *_, last = client.events(job_id)
        assert last.data["status"] == "completed"
        with closing(sqlite3.connect(data_dir / "transcribe.db")) as records:
            attempts = records.execute("SELECT kind, position, attempts FROM job_parts").fetchall()
    assert len(attempts) > 1
    assert [one for one in attempts if one[2] != 1] == []


@pytest.mark.sphinx
def test_a_killed_pool_process_loses_no_chunk(stack: RunningStack, client: Client, beginning: Path):
    job_id = client.submit(beginning)["job_id"]
    events = client.events(job_id)
    next(event for event in events if event.data.get("stage") == "listen")
    for main in stack.workers("asr.sphinx"):
        kill_processes(main.children())
    *_, last = events
    assert last.data["status"] == "completed"
    assert last.data["warnings"] == []


def test_a_killed_redis_comes_back_and_the_job_with_it(stack: RunningStack, client: Client):
    job_id = client.submit(SAMPLE)["job_id"]
    next(event for event in client.events(job_id) if event.name == "segment")
    [server] = [one for one in stack.processes() if "valkey-server" in " ".join(command_of(one))]
    server.kill()
    last = wait_until_over(client, job_id)
    assert last["status"] == "completed"
    assert last["warnings"] == []


def wait_until_over(client: Client, job_id: str) -> dict:
    """Ask now and then: the stream of events may have been cut off."""
    for _ in range(600):
        told = client.status(job_id)
        if told["status"] in ("completed", "failed"):
            return told
        time.sleep(0.2)
    pytest.fail(f"the job is not over: {told}")


def test_a_data_directory_has_one_stack(stack: RunningStack):
    before = {one.pid for one in stack.processes()}
    done = up("--data-dir", str(stack.data_dir), "--port", "0")
    assert done.returncode == 3
    assert "--data-dir" in done.stderr
    assert {one.pid for one in stack.processes()} >= before, "the running one is left alone"


def test_a_taken_port_is_named(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = up("--data-dir", str(tmp_path), "--port", str(port))
    assert done.returncode == 3
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert marked(tmp_path) == []


def test_a_wrong_setting_stops_the_start_with_a_sentence(tmp_path: Path):
    done = up("--data-dir", str(tmp_path), VAD_AGGRESSIVENESS="7")
    assert done.returncode == 3
    assert "VAD_AGGRESSIVENESS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_without_a_service_says_so(tmp_path: Path):
    done = subprocess.run(
        [TRANSCRIBE, SAMPLE, "-o", tmp_path / "out"],
        env=clean_environment(TRANSCRIBE_URL="http://127.0.0.1:9"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_recording_fails_with_a_sentence(stack: RunningStack, tmp_path: Path):
    letter = tmp_path / "letter.mp3"
    letter.write_text("Dear Sir or Madam")
    done = subprocess.run(
        [TRANSCRIBE, letter, "-o", tmp_path / "out"],
        env=clean_environment(TRANSCRIBE_URL=stack.url),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "letter.mp3: " in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of which there is much to be heard yet when the first of it is."""
    return write_sample(tmp_path_factory.mktemp("long") / "long.wav", times=2)


def test_an_interrupted_command_leaves_nothing_behind(tmp_path: Path, long: Path):
    command = subprocess.Popen(
        [TRANSCRIBE, long, "-o", tmp_path / "out"],
        env=clean_environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: list(tmp_path.glob("transcribe-*/objects/jobs/*/parts/chunk_*.json")))
        [objects] = tmp_path.glob("transcribe-*/objects")
        data_dir = objects.parent
        assert marked(data_dir)
    finally:
        for impatient in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            command.send_signal(impatient)
        code = command.wait(180)
    assert code == 130, "and the socket is gone too, wherever it had to lie"
    assert marked(data_dir) == []
    assert list(tmp_path.iterdir()) == []


def up(*options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TRANSCRIBE, "up", *options],
        env=clean_environment(**settings), capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
