"""A service that others can reach: it starts with a key, and answers those who send one."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.factories.processes import create_key_on_disk, run_transcribe
from tests.integration.conftest import (
    SAMPLE,
    clean_environment,
    marked,
    started,
    wait_until,
)
from transcribe_api.client import Client, ServiceError

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]

ROOT = Path(__file__).resolve().parents[2]
JOBS = "/api/transcribe/jobs"
GUNICORN = (sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-class", "gthread")


@contextmanager
def gunicorn(*options: str, cwd: Path = ROOT, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*GUNICORN, *options, "transcribe_api.app:create_app()"],
        env=clean_environment(**settings), cwd=cwd, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"Listening at: \S+:(\d+)", line):
            return int(found[1])
    pytest.fail("it does not listen")


def test_a_stack_that_others_can_reach_does_not_start_without_a_key(tmp_path: Path):
    done = run_transcribe("up", "--host", "0.0.0.0", "--port", "0", "--data-dir", tmp_path)
    assert done.returncode == 3
    assert "transcribe keys create" in done.stderr
    assert "AUTH=off" in done.stderr
    assert "Traceback" not in done.stderr
    assert marked(tmp_path) == []
    assert not (tmp_path / "logs").exists(), "nothing was begun"


def test_a_stack_that_others_can_reach_serves_those_who_have_a_key(tmp_path: Path, beginning: Path):
    data_dir = tmp_path / "guarded"
    mine, readers = create_key_on_disk(data_dir), create_key_on_disk(data_dir, "--scope", "read")
    with started(data_dir, "--host", "0.0.0.0") as stack:
        port = urlsplit(stack.url).port
        url = f"http://127.0.0.1:{port}"

        done = run_transcribe(
            beginning, "-o", tmp_path / "out", TRANSCRIBE_URL=url, TRANSCRIBE_API_KEY=mine
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out" / "final_transcription.json").exists()

        # Not the data directory of this account, in which there may be a token.
        nobody = {"TRANSCRIBE_URL": url, "TRANSCRIBE_DATA_DIR": str(tmp_path / "nobody")}
        without = run_transcribe(SAMPLE, "-o", tmp_path / "none", **nobody)
        assert without.returncode == 1
        assert "send a key" in without.stderr
        assert not (tmp_path / "none").exists()

        with Client(url, key=mine) as client, Client(url, key=readers) as reader:
            client.ping()
            with pytest.raises(ServiceError) as refused:
                reader.submit(SAMPLE)
            assert refused.value.status == 403
        assert _status_of_an_upload_that_never_ends(port) == 401
        assert list((data_dir / "scratch").glob("upload-*")) == []

    logged = "".join(path.read_text(errors="replace") for path in (data_dir / "logs").iterdir())
    assert mine not in logged
    kept = [path for path in data_dir.rglob("*") if path.is_file() and path.name != "up.log"]
    secret = mine.split("_", 2)[2].encode()
    assert [path for path in kept if secret in path.read_bytes()] == []


def _status_of_an_upload_that_never_ends(port: int | None) -> int:
    """Sends the head of a gigabyte and the beginning of a file, and waits for the answer."""
    head = (
        f"POST {JOBS}/transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**9}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode() + b"\0" * 100_000)
        return int(connection.recv(100).split()[1])


def test_a_plain_gunicorn_that_others_can_reach_does_not_start_without_a_key(tmp_path: Path):
    with gunicorn("-b", "0.0.0.0:0", TRANSCRIBE_DATA_DIR=str(tmp_path)) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: other machines can reach the service on 0.0.0.0" in errors
    assert "Traceback" not in errors


def test_a_gunicorn_that_does_not_know_better_answers_nobody_without_a_key(tmp_path: Path):
    """Started where its gunicorn.conf.py is not."""
    settings = {"TRANSCRIBE_DATA_DIR": str(tmp_path / "data")}
    mine = create_key_on_disk(tmp_path / "data")
    with gunicorn("-b", "0.0.0.0:0", cwd=tmp_path, **settings) as process:
        url = f"http://127.0.0.1:{port_of(process)}"
        with httpx2.Client(base_url=url, timeout=60) as http:
            assert http.get("/healthz").status_code == 200
            assert http.get(JOBS).status_code == 401
            assert http.get(JOBS, headers={"X-API-Key": mine}).status_code == 200


def test_on_this_machine_alone_no_key_is_asked_for_until_there_is_one(tmp_path: Path):
    path = tmp_path / "service.sock"
    made = run_transcribe("keys", "list", "--data-dir", tmp_path / "data")  # makes the tables
    assert made.returncode == 0, made.stderr
    settings = {"TRANSCRIBE_DATA_DIR": str(tmp_path / "data")}
    with gunicorn("-b", f"unix:{path}", "-b", "127.0.0.1:0", **settings) as process:
        url = f"http://127.0.0.1:{port_of(process)}"
        with httpx2.Client(base_url=url, timeout=60) as http:
            wait_until(lambda: http.get("/healthz").status_code == 200)
            assert http.get(JOBS).status_code == 200
            rebound = http.get(JOBS, headers={"Host": "example.org"})
            assert rebound.status_code == 421, "a page of another site reaches us by its own name"
        transport = httpx2.HTTPTransport(uds=str(path))
        with httpx2.Client(base_url="http://localhost", transport=transport, timeout=60) as http:
            assert http.get(JOBS).status_code == 200
            mine = create_key_on_disk(tmp_path / "data")
            assert http.get(JOBS).status_code == 401
            assert http.get(JOBS, headers={"X-API-Key": mine}).status_code == 200
        assert httpx2.get(f"{url}{JOBS}", timeout=60).status_code == 401
