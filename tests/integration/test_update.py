"""A job in flight while the service is updated from 0.1 ends right, and hears what was missing.

The archive is what 0.1 had left in its data directory when the power was cut: records as SQL, the
files of its Redis with all messages, beat's schedule, and its objects but for audio. That is cut
out of the sample again, for it would be two hundred times as large as the rest.
"""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
import wave
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.conftest import command_of, started, wait_until, write_sample
from transcribe_api.client import Client

pytestmark = [pytest.mark.processes, pytest.mark.own_stack, pytest.mark.sphinx]

STATE = Path(__file__).with_name("states") / "job-in-flight-0.1.tar.xz"
JOB_ID = "907c1f98-93f9-49b6-bb13-9604a3281ef8"
#: As the job was cut, in seconds.
SETTINGS = {"CHUNK_DURATION": "12"}
SECONDS = 75
STORED_CHUNK = 1


def test_a_job_of_the_version_before_goes_on(tmp_path: Path):
    data_dir = tmp_path / "data"
    restore_state(data_dir)
    with started(data_dir, "--no-flower", **SETTINGS) as stack, Client(stack.url) as client:
        wait_until(lambda: client.status(JOB_ID)["status"] in ("completed", "failed"))
        status = client.status(JOB_ID)
        assert (status["status"], status["warnings"]) == ("completed", [])
        segments = client.result(JOB_ID)["segments"]
        assert segments[0]["start"] < 5
        assert segments[-1]["end"] > SECONDS - 5
        again = client.submit(data_dir.parent / "recording.wav", diarizer="classic")["job_id"]
        *_, last = client.events(again)
        assert last.data["status"] == "completed"
        assert text(segments) == text(client.result(again)["segments"])
        # Beat's file names a class of 0.1, which must not end it, and the stack with it.
        assert "Traceback" not in (data_dir / "logs" / "beat.log").read_text()
        assert any("beat" in command_of(process) for process in stack.processes())
    attempts = dict(
        rows(data_dir, f"SELECT position, attempts FROM job_parts WHERE job_id = '{JOB_ID}'")
    )
    assert attempts[STORED_CHUNK] == 1, "what 0.1 had heard is not heard again"


def restore_state(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    with tarfile.open(STATE) as archive:
        archive.extractall(data_dir, filter="data")
    sql = data_dir / "transcribe.sql"
    with closing(sqlite3.connect(data_dir / "transcribe.db")) as database:
        database.executescript(sql.read_text())
    sql.unlink()
    restore_audio(data_dir, write_sample(data_dir.parent / "recording.wav", seconds=SECONDS))


def restore_audio(data_dir: Path, recording: Path) -> None:
    folder = data_dir / "objects" / "jobs" / JOB_ID
    shutil.copy(recording, folder / "source")
    with wave.open(str(recording)) as file:
        parameters, samples = file.getparams(), file.readframes(file.getnframes())
    size, rate = parameters.sampwidth, parameters.framerate
    query = 'SELECT kind, position, start, "end" FROM job_parts'
    for kind, position, start, end in rows(data_dir, query):
        path = folder / f"{kind}s" / f"{kind}_{position:04}.wav"
        path.parent.mkdir(exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams(parameters)
            file.writeframes(samples[round(start * rate) * size : round(end * rate) * size])


def rows(data_dir: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(data_dir / "transcribe.db")) as database:
        return database.execute(query).fetchall()


def text(segments: list[dict]) -> str:
    return " ".join(segment["text"] for segment in segments)
