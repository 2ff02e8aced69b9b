"""What the largest upload costs the service: ``python -m bench.upload``.

A recording of 2 GiB is made up while it is sent, and its job is cancelled once it is accepted; then
half of one is sent and the connection cut. Objects in a directory; and in S3-compatible storage,
where ``TEST_S3_ENDPOINT``, ``TEST_S3_ACCESS_KEY`` and ``TEST_S3_SECRET_KEY`` name one. Needs three
times the bytes on disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from urllib.parse import urlsplit

import httpx2
from sqlalchemy import func, select

from bench.figures import Figure, Measured, tell
from bench.service import Service, running
from bench.table import show
from core.db.models import Transcript
from core.db.transactions import read_session
from core.jobs import lifecycle
from core.settings import settings
from core.storage import layout, storage

JOBS = "/api/transcribe/jobs"
BLOCK = 1024 * 1024
#: Megabytes that the service may grow by.
GOAL = 64
#: Of the recording; so many that the largest file is less than an hour.
CHANNELS, RATE, SAMPLE_BYTES = 8, 48_000, 2
HEADER_BYTES = 44
#: Seconds for which the service may still be busy with a client that has gone.
PATIENCE = 60

_BEFORE = (
    b'--cut\r\nContent-Disposition: form-data; name="diarizer"\r\n\r\nnone\r\n'
    b'--cut\r\nContent-Disposition: form-data; name="file"; filename="noise.wav"\r\n\r\n'
)
_AFTER = b"\r\n--cut--\r\n"


@dataclass
class Recording:
    """Noise in a WAV file that is nowhere; `sha256` is that of what was read of it."""

    size: int

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        noise, left = os.urandom(BLOCK), self.size - HEADER_BYTES
        yield self._counted(self._header())
        for number in count():
            block = (struct.pack("<Q", number) + noise[8:])[:left]
            left -= len(block)
            if not block:
                return
            yield self._counted(block)

    def _header(self) -> bytes:
        frame = CHANNELS * SAMPLE_BYTES
        sound = self.size - HEADER_BYTES
        form = struct.pack(
            "<HHIIHH", 1, CHANNELS, RATE, RATE * frame, frame, SAMPLE_BYTES * 8
        )  # fmt: skip
        return b"".join(
            (
                *(b"RIFF", struct.pack("<I", self.size - 8), b"WAVE"),
                *(b"fmt ", struct.pack("<I", len(form)), form),
                *(b"data", struct.pack("<I", sound)),
            )
        )

    def _counted(self, block: bytes) -> bytes:
        self._hash.update(block)
        return block


def main(size: int) -> int:
    """Print a row for each kind of storage; returns 1 if one of them does not hold what it must."""
    return tell("uploads", measure(size))


def measure(size: int) -> Measured:
    """A row for each kind of storage."""
    rows = [_row("a directory", size)]
    if endpoint := os.environ.get("TEST_S3_ENDPOINT"):
        rows.append(_row("S3", size, **_s3(endpoint)))
    show(
        f"an upload of {size / 1024**3:.2f} GiB (goal: the service grows by {GOAL} MB at most)",
        ("objects in", "time", "grows by", "checksum in the records", "of the object",
         "left of one that is cut off"),
        [row[1:] for row in rows],
    )  # fmt: skip
    return Measured(
        [
            Figure(
                f"the service while {size / 1024**3:.1f} GiB are uploaded to {kind}",
                f"grows by ≤ {GOAL} MB",
                str(growth),
                bool(holds),
            )
            for holds, kind, _, growth, *_ in rows
        ]
    )


def _s3(endpoint: str) -> dict[str, str]:
    address = urlsplit(endpoint)
    return {
        "MINIO_ENDPOINT": address.netloc,
        "MINIO_USE_SSL": str(address.scheme == "https"),
        "MINIO_ACCESS_KEY": os.environ["TEST_S3_ACCESS_KEY"],
        "MINIO_SECRET_KEY": os.environ["TEST_S3_SECRET_KEY"],
        "MINIO_BUCKET_NAME": "transcribe-bench",
    }


def _row(kind: str, size: int, **environment: str) -> tuple[object, ...]:
    with running(**environment) as service:
        _send(service, Recording(10 * BLOCK))  # loads what is only loaded with the first upload
        before = service.memory_mb
        service.forget_peak()
        recording = Recording(size)
        begun = time.monotonic()
        job_id = _send(service, recording)
        seconds = time.monotonic() - begun
        growth = service.peak_mb - before
        known, stored = _recorded(job_id) == recording.sha256, _stored(job_id) == recording.sha256
        left = _left_of_half(service, size)
        storage().delete(layout.JOBS_PREFIX)
    is_well = growth <= GOAL and known and stored and not left
    checked = ("as sent" if same else "another" for same in (known, stored))
    return (
        is_well, kind, f"{seconds:.0f} s", f"{growth:.0f} MB", *checked,
        ", ".join(left) or "nothing",
    )  # fmt: skip


def _send(service: Service, recording: Recording) -> str:
    """Upload it, and cancel the job; gives its id."""
    connection = _begun(service, recording)
    for block in recording:
        connection.send(block)
    connection.send(_AFTER)
    answer = connection.getresponse()
    told = answer.read()
    assert answer.status == 202, told
    job_id = answer.headers["Location"].rpartition("/")[2]
    httpx2.post(f"{service.url}{JOBS}/{job_id}/cancel").raise_for_status()
    return job_id


def _begun(service: Service, recording: Recording) -> HTTPConnection:
    connection = HTTPConnection(urlsplit(service.url).netloc)
    connection.putrequest("POST", f"{JOBS}/transcribe")
    connection.putheader("Content-Type", "multipart/form-data; boundary=cut")
    connection.putheader("Content-Length", str(len(_BEFORE) + recording.size + len(_AFTER)))
    connection.endheaders(_BEFORE)
    return connection


def _recorded(job_id: str) -> str | None:
    with read_session() as session:
        return lifecycle.get_job(session, job_id).transcript.audio_sha256


def _stored(job_id: str) -> str:
    sha256 = hashlib.sha256()
    for block in storage().stream(layout.source(job_id)):
        sha256.update(block)
    return sha256.hexdigest()


def _left_of_half(service: Service, size: int) -> list[str]:
    """Send half of an upload and hang up; gives what is left of it."""
    before = _known()
    recording = Recording(size)
    connection = _begun(service, recording)
    for number, block in enumerate(recording):
        if number * BLOCK > size / 2:
            break
        connection.send(block)
    assert _uploads(), "it must have begun"
    connection.close()
    deadline = time.monotonic() + PATIENCE
    while _uploads() and time.monotonic() < deadline:
        time.sleep(0.1)
    return sorted(_uploads() | _known() - before)


def _uploads() -> set[str]:
    return {path.name for path in settings().scratch_dir.glob("upload-*")}


def _known() -> set[str]:
    with read_session() as session:
        transcripts = session.scalar(select(func.count()).select_from(Transcript))
    return {*storage().list_keys(layout.JOBS_PREFIX), f"{transcripts} transcripts"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=settings().max_file_size)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_arguments().bytes))
