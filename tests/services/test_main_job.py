"""The main job on PostgreSQL, Redis and S3; and each of them killed in the middle of it."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx2
import pytest
from sqlalchemy import Engine, select

from core.db.models import JobPart, JobRun, Transcript
from core.db.transactions import build_engine
from core.settings import settings
from core.states import PartState
from core.storage import layout
from core.storage.s3 import S3Storage
from tests.integration.conftest import SAMPLE, RunningStack, started, wait_until
from tests.services.processes import Missing
from tests.services.radosgw import SECRET_KEY
from tests.services.servers import PASSWORD, Server
from transcribe_api.client import Client, Unreachable

pytestmark = pytest.mark.processes

#: Of the recording.
SECONDS = 45
#: Seconds that a server is away.
AWAY = 6.0
JOBS = "/api/transcribe/jobs"


@pytest.fixture(scope="module")
def stack(
    servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    with started(
        tmp_path_factory.mktemp("stack") / "data", CHUNK_DURATION="8", **servers
    ) as running:
        yield running


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the sample, for many jobs: both speakers, and several chunks."""
    path = tmp_path_factory.mktemp("recording") / "beginning.wav"
    frames = itertools.takewhile(lambda frame: frame.time < SECONDS, _frames(SAMPLE))
    with av.open(path, "w") as file:
        stream = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        for frame in frames:
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def _frames(path: Path) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler("s16", "mono", 16000)
    with av.open(path) as file:
        for frame in file.decode(audio=0):
            yield from resampler.resample(frame)


@pytest.fixture
def client(stack: RunningStack) -> Iterator[Client]:
    with Client(stack.url) as ours:
        yield ours


@pytest.fixture
def store(servers: dict[str, str], use: Callable[..., None]) -> S3Storage:
    use(**servers)
    return S3Storage.from_settings(settings())


@pytest.fixture
def records(store: S3Storage) -> Iterator[Engine]:
    made = build_engine(settings().database)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def undisturbed(stack: RunningStack, recording: Path) -> dict[str, Any]:
    """What the service makes of the recording when nothing happens."""
    with Client(stack.url) as client:
        return finished(client, client.submit(recording)["job_id"])


@dataclass
class Asked:
    """What the service answered while a server was away."""

    answers: Counter[int] = field(default_factory=Counter)


def finished(client: Client, job_id: str) -> dict[str, Any]:
    """The result of a job, once it is over."""
    told: dict[str, Any] = {}

    def is_over() -> bool:
        with suppress(Unreachable):
            answer = client._http.get(f"{JOBS}/result/{job_id}")
            assert answer.status_code in (200, 409, 503), answer.text
            told.update(answer.json())
        return told.get("status") == "completed"

    wait_until(is_over)
    return told


def words(result: dict[str, Any]) -> list[tuple[str, float, int | None]]:
    return [
        (word["word"], word["start"], word["speaker_tag"])
        for segment in result["segments"]
        for word in segment["words"]
    ]


@contextmanager
def asking(url: str, job_id: str) -> Iterator[Asked]:
    """Go on asking for everything that is told of a job, as a page would."""
    asked, is_over = Asked(), threading.Event()
    paths = [f"{JOBS}/status/{job_id}", f"{JOBS}/result/{job_id}", JOBS, f"{JOBS}/engines",
             "/readyz", f"{JOBS}/artefacts/{job_id}"]  # fmt: skip

    def ask() -> None:
        with httpx2.Client(base_url=url, timeout=60) as http:
            while not is_over.is_set():
                for path in paths:
                    asked.answers[http.get(path).status_code] += 1
                time.sleep(0.2)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        is_over.set()
        thread.join()


def in_the_middle(client: Client, recording: Path) -> str:
    """A job some of whose chunks are transcribed."""
    job_id: str = client.submit(recording)["job_id"]
    next(event for event in client.events(job_id) if event.name == "segment")
    return job_id


@contextmanager
def away(server: Server) -> Iterator[None]:
    """Without the server, for as long as the block lasts."""
    try:
        server.kill()
    except Missing as reason:
        pytest.skip(str(reason))
    try:
        yield
    finally:
        server.start()


def leftovers(stack: RunningStack, records: Engine, store: S3Storage, job_id: str) -> list[str]:
    """What a job that is over should not have left behind."""
    scratch = [str(path) for path in (stack.data_dir / "scratch").glob("*")]
    uploads = store._client.list_multipart_uploads(Bucket=store._bucket).get("Uploads", [])
    with records.connect() as connection:
        parts = connection.execute(
            select(JobPart.position, JobPart.state, JobPart.lease_until).where(
                JobPart.job_id == job_id,
                (JobPart.state != PartState.STORED) | (JobPart.lease_until > 0),
            )
        ).all()
        runs = connection.execute(
            select(JobRun.owner, JobRun.lease_until).where(
                JobRun.job_id == job_id, JobRun.owner.is_not(None) | (JobRun.lease_until > 0)
            )
        ).all()
    return [*scratch, *map(str, [*uploads, *parts, *runs])]


def test_the_main_job_leaves_everything_where_it_belongs(
    stack: RunningStack,
    client: Client,
    store: S3Storage,
    records: Engine,
    undisturbed: dict,
    recording: Path,
):
    job_id = undisturbed["job_id"]
    assert {one["speaker_tag"] for one in undisturbed["segments"]} == {0, 1}
    assert settings().minio_endpoint in undisturbed["audio_url"]
    assert httpx2.get(undisturbed["audio_url"]).content == recording.read_bytes()
    names = {
        key.removeprefix(layout.job_prefix(job_id))
        for key in store.list_keys(layout.job_prefix(job_id))
    }
    assert names > {"source", "chunks/chunk_0000.wav", *layout.ARTEFACTS}
    assert leftovers(stack, records, store, job_id) == []
    assert not (stack.data_dir / "transcribe.db").exists()
    assert not (stack.data_dir / "objects").exists()
    assert not (stack.data_dir / "redis").exists()


@pytest.mark.parametrize("which", ["postgres", "redis_server", "s3", "redis_server, emptied"])
def test_a_server_that_is_killed_costs_a_job_nothing_but_time(
    which: str, request, stack: RunningStack, client: Client, store: S3Storage, records: Engine,
    undisturbed: dict, recording: Path,
):  # fmt: skip
    name, _, emptied = which.partition(", ")
    server = request.getfixturevalue(name)
    before = {process.pid: process for process in main_processes(stack)}
    job_id = in_the_middle(client, recording)
    with asking(stack.url, job_id) as asked:
        with away(server):
            if emptied:
                server.forget()
            time.sleep(AWAY)
        result = finished(client, job_id)
    assert words(result) == words(undisturbed)
    assert result["warnings"] == []
    assert set(asked.answers) <= {200, 409, 503}
    wait_until(lambda: leftovers(stack, records, store, job_id) == [])
    assert names_of(store, job_id) == names_of(store, undisturbed["job_id"])
    wait_until(lambda: len(main_processes(stack)) == len(before))


@pytest.mark.parametrize("which", ["postgres", "s3"])
def test_a_submission_that_cannot_be_kept_is_refused_and_leaves_nothing(
    which: str,
    request,
    stack: RunningStack,
    client: Client,
    store: S3Storage,
    records: Engine,
    recording: Path,
):
    server = request.getfixturevalue(which)
    client.ping()
    objects, rows = store.list_keys(""), transcripts(records)
    with away(server):
        answer = submit(stack, recording)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert SECRET_KEY not in answer.text
    assert PASSWORD not in answer.text
    assert "127.0.0.1" not in answer.text
    wait_until(lambda: httpx2.get(f"{stack.url}/readyz").status_code == 200)
    assert store.list_keys("") == objects
    assert transcripts(records) == rows
    assert list((stack.data_dir / "scratch").glob("*")) == []


def test_a_submission_without_redis_is_kept_and_goes_on_later(
    stack: RunningStack,
    client: Client,
    redis_server: Server,
    undisturbed: dict,
    recording: Path,
):
    with away(redis_server):
        answer = submit(stack, recording)
        assert answer.status_code == 202
        told = client.status(answer.json()["job_id"])
        assert told["status"] == "queued"
    assert words(finished(client, told["job_id"])) == words(undisturbed)


def test_no_log_tells_a_secret(stack: RunningStack, undisturbed: dict):
    """Also not those of all that went wrong above."""
    for log in [*(stack.data_dir / "logs").glob("*"), stack.data_dir / "up.log"]:
        text = log.read_text(errors="replace")
        assert SECRET_KEY not in text, log.name
        assert PASSWORD not in text, log.name


def submit(stack: RunningStack, recording: Path) -> httpx2.Response:
    with recording.open("rb") as file:
        return httpx2.post(f"{stack.url}{JOBS}/transcribe", files={"file": file}, timeout=60)


def transcripts(records: Engine) -> int:
    with records.connect() as connection:
        return len(connection.execute(select(Transcript.id)).all())


def names_of(store: S3Storage, job_id: str) -> dict[str, str]:
    """The audio of a job, whose bytes must not differ, and the names of all else."""
    root = layout.job_prefix(job_id)
    return {
        key.removeprefix(root): hashlib.sha256(store.get_bytes(key)).hexdigest()
        if key.endswith(".wav")
        else ""
        for key in store.list_keys(root)
    }


def main_processes(stack: RunningStack) -> list[Any]:
    """Those that the stack itself started, and keeps running."""
    return [one for one in stack.processes() if one.ppid() == stack.process.pid]
