"""Asks a running service for all that /openapi.json allows, and for what it forbids."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.conftest import SAMPLE, RunningStack, clean_environment, started
from transcribe_api.client import Client

ROOT = Path(__file__).resolve().parents[2]
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")

#: Cases of each kind for an operation: more find more, and take longer.
EXAMPLES = os.environ.get("TEST_API_EXAMPLES", "30")
#: The same cases for the same seed and interface.
SEED = os.environ.get("TEST_API_SEED", "1")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the service may open."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[RunningStack]:
    with started(tmp_path_factory.mktemp("stack"), MEDIA_ROOTS=str(media)) as running:
        yield running


@pytest.fixture(scope="module")
def recording(media: Path) -> Path:
    """Half a second of sound, every byte of which is ASCII: see `tests.api.hooks`."""
    path = media / "short.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x40\x7f" * 2048)
    path.read_bytes().decode("ascii")
    return path


def what_is_there(stack: RunningStack, recording: Path) -> dict[str, str]:
    """One of everything, by the names that paths and queries have for it."""
    with Client(stack.url) as client:
        done = client.submit(SAMPLE)
        waiting = client.submit(recording, engine="whisperx")  # for which there is no worker
        *_, last = client.events(done["job_id"])
        assert last.data["status"] == "completed"
    with httpx2.Client(base_url=f"{stack.url}/api/transcribe") as api:
        result = api.get(f"/jobs/result/{done['job_id']}").json()
        cursor = api.get("/jobs?limit=1").json()["next_cursor"]
    return {
        "job_id": done["job_id"],
        "transcript_id": done["transcript_id"],
        "waiting_job_id": waiting["job_id"],
        "position": "0",
        "name": "transcription.srt",
        "token": result["audio_url"].rsplit("/", 1)[1],
        "cursor": cursor,
        "file_path": str(recording),
        "output_dir": str(recording.parent / "out"),
    }


def test_the_service_does_what_it_says(stack: RunningStack, recording: Path, tmp_path: Path):
    there = what_is_there(stack, recording)
    done = run_schemathesis(stack, there, recording, tmp_path)
    print(*(line[:400] for line in done.stdout.splitlines()), sep="\n")
    assert done.returncode == 0
    url = f"{stack.url}/api/transcribe/jobs/status/{there['job_id']}"
    assert httpx2.get(url).json()["status"] == "completed", "what was asked for was there"


def run_schemathesis(stack: RunningStack, there: dict[str, Any], recording: Path, folder: Path):
    config = Path(__file__).with_name("schemathesis.toml")
    return subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", config, "run", f"{stack.url}/openapi.json"),
            *("--max-examples", EXAMPLES, "--seed", SEED),
            *("--continue-on-failure", "--no-color", "--output-sanitize", "false"),
        ],
        cwd=folder,
        env=clean_environment(
            PYTHONPATH=str(ROOT),
            SCHEMATHESIS_HOOKS="tests.api.hooks",
            TRANSCRIBE_TEST_THERE=json.dumps(there),
            TRANSCRIBE_TEST_RECORDING=str(recording),
        ),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_answered_as_a_problem(stack: RunningStack, sent: bytes, status: int):
    url = httpx2.URL(stack.url)
    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        connection.sendall(sent)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status
