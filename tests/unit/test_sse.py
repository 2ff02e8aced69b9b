"""Whoever listens to a job is told everything once, over lost connections and lost memories."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from itertools import islice

import pytest

from core.db import transactions
from core.db.transactions import read_session, transaction
from core.errors import EngineError, Unavailable
from core.jobs import lifecycle, parts
from core.jobs.parts import PartId
from core.redis import client as redis_client
from core.settings import settings
from core.states import PartKind
from core.storage import storage
from tasks.reporting import job_status, progress
from tests.factories.jobs import create_listening_job
from tests.factories.steps import store_chunk
from transcribe_api import database
from transcribe_api.app import create_app
from transcribe_api.http.events import event_broker, sse
from transcripts.serialization import chunk_from_json, chunk_to_json
from transcripts.types import ChannelInterval, ChunkResult, Transcription, Word

pytestmark = pytest.mark.usefixtures("database")

URL = "/api/transcribe/jobs/stream/"


@pytest.fixture(autouse=True)
def our_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub of this test's own, and listeners who look often."""
    monkeypatch.setattr(sse, "job_events", event_broker.EventBroker())
    monkeypatch.setattr(sse, "QUIET_SECONDS", 0.05)


class Heard:
    """A connection: what comes by it, without comments and hints."""

    def __init__(self, job_id: str, last_id: str = "") -> None:
        self._stream = sse.stream_events(job_id, last_id)
        self._events = (one for text in self._stream for one in parsed(text))
        self.last_id = last_id

    def __iter__(self) -> Iterator[dict]:
        for event in self._events:
            self.last_id = event.get("id", self.last_id)
            yield event

    def state(self) -> dict:
        """Listen until a state is told."""
        return next(event["data"] for event in self if "event" not in event)

    def chunks(self, count: int) -> list[int]:
        """Listen until so many chunks are told; returns their numbers."""
        told = (event["data"]["chunk"] for event in self if "event" in event)
        return list(islice(told, count))

    def end(self) -> list[int | str]:
        """Listen to the end; returns the chunks and the last status."""
        return [
            event["data"]["chunk"] if "event" in event else event["data"]["status"]
            for event in self
            if "event" in event or event["data"]["status"] != "processing"
        ]

    def close(self) -> None:
        self._stream.close()


def parsed(text: str) -> list[dict]:
    assert text.endswith("\n\n")
    fields = dict(line.split(": ", 1) for line in text.strip().split("\n") if line[0] != ":")
    return [{**fields, "data": json.loads(fields["data"])}] if "data" in fields else []


def hear(job_id: str, chunk: int, *, tell: bool = True) -> None:
    """What a worker does with what it heard in a chunk."""
    store_chunk(job_id, chunk, f"words of {chunk}")
    if tell:
        text = progress.read_transcriptions(job_id, [chunk], keep=False)[chunk]
        progress.publish_transcription(job_id, chunk, chunk_from_json(json.loads(text)))


def fail(job_id: str, *, tell: bool = True) -> None:
    with transaction() as session:
        lifecycle.fail_job(session, job_id, EngineError("it was too loud"))
    if tell:
        progress.publish_status(job_id)


def test_first_comes_the_state_then_what_was_heard_then_what_happens(redis_server):
    job_id = create_listening_job(chunks=3)
    hear(job_id, 1)
    listener = Heard(job_id)
    assert listener.state()["chunks_done"] == 1
    assert listener.chunks(1) == [1]
    hear(job_id, 2)
    hear(job_id, 0)
    assert sorted(listener.chunks(2)) == [0, 2]
    fail(job_id)
    assert listener.end() == ["failed"]


def test_who_comes_again_is_told_the_rest_once(redis_server):
    job_id = create_listening_job(chunks=5)
    told: list[int] = []
    last_id = ""
    for chunk in (3, 0, 4, 1, 2):
        hear(job_id, chunk)
        listener = Heard(job_id, last_id)
        told += listener.chunks(1)
        last_id = listener.last_id
        listener.close()
    assert told == [3, 0, 4, 1, 2]
    assert last_id == "told:0-4"


@pytest.mark.parametrize("last_id", ["", "7", "told:", "told:x", "told:1-", "told:0-\n", "9" * 99])
def test_an_id_that_is_none_of_ours_leads_to_everything(redis_server, last_id: str):
    job_id = create_listening_job(chunks=2)
    hear(job_id, 0)
    assert Heard(job_id, last_id).chunks(1) == [0]


def test_what_is_told_between_looking_and_listening_is_told_once(redis_server):
    job_id = create_listening_job(chunks=3)
    listener = Heard(job_id)
    listener.state()
    for chunk in range(3):
        hear(job_id, chunk)
    fail(job_id)
    assert listener.end() == [0, 1, 2, "failed"]


def test_a_chunk_that_is_heard_twice_is_told_once(redis_server):
    job_id = create_listening_job(chunks=2)
    listener = Heard(job_id)
    listener.state()
    for chunk in (0, 0, 1, 0):
        hear(job_id, chunk)
    fail(job_id)
    assert listener.end() == [0, 1, "failed"]


def test_what_redis_has_forgotten_is_read_from_storage_and_remembered(redis_server):
    job_id = create_listening_job(chunks=3)
    hear(job_id, 0)
    hear(job_id, 1)
    first = Heard(job_id)
    assert first.chunks(2) == [0, 1]
    redis_client().flushall()
    assert Heard(job_id).chunks(2) == [0, 1]
    assert Heard(job_id, "told:0").chunks(1) == [1]
    assert redis_client().hkeys(progress.segments_key(job_id)) == ["0", "1"]
    hear(job_id, 2)
    assert first.chunks(1) == [2], "a listener who was there is not told again"


def test_what_was_never_told_comes_all_the_same_and_before_the_end(redis_server):
    job_id = create_listening_job(chunks=3)
    listener = Heard(job_id)
    listener.state()
    hear(job_id, 0, tell=False)
    assert listener.chunks(1) == [0], "it looks when nothing is heard"
    hear(job_id, 1, tell=False)
    fail(job_id)
    assert listener.end() == [1, "failed"]


def test_without_redis_the_records_tell():
    job_id = create_listening_job(chunks=2)
    listener = Heard(job_id)
    listener.state()
    hear(job_id, 0, tell=False)
    assert listener.chunks(1) == [0]
    fail(job_id, tell=False)
    assert listener.end() == ["failed"]


def test_who_comes_after_the_end_is_told_all_and_let_go(redis_server):
    job_id = create_listening_job(chunks=2)
    hear(job_id, 0)
    hear(job_id, 1)
    fail(job_id)
    redis_client().flushall()
    assert Heard(job_id).end() == ["failed", 0, 1, "failed"]
    assert Heard(job_id, "told:0-1").end() == ["failed"]
    assert redis_client().keys("*") == [], "nothing is kept for a job that is over"
    *_, last = sse.stream_events(job_id)
    assert last == "retry: 3600000\n\n", "browsers need not come again"


def test_a_chunk_whose_words_are_gone_is_left_out(redis_server):
    job_id = create_listening_job(chunks=2)
    hear(job_id, 0, tell=False)
    hear(job_id, 1, tell=False)
    storage().delete(f"jobs/{job_id}/parts/chunk_0000")
    fail(job_id)
    assert Heard(job_id).end() == ["failed", 1, "failed"]


def test_without_the_database_what_was_heard_is_told_all_the_same(
    redis_server, monkeypatch: pytest.MonkeyPatch
):
    job_id = create_listening_job(chunks=2)
    # It is not in storage, where those who listen look as well.
    heard = ChunkResult(ChannelInterval(10, 20), Transcription((Word("hello", 11, 12),)))
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        settings.cache_clear()
        with pytest.raises(Unavailable):
            progress.publish_transcription(job_id, 1, heard)
    settings.cache_clear()
    text = progress.read_transcriptions(job_id, [1], keep=False)[1]
    assert json.loads(text) == {"chunk": 1, **chunk_to_json(heard)}


def test_a_state_that_was_overtaken_is_not_told(redis_server):
    job_id = create_listening_job(chunks=2)
    with read_session() as session:
        before = job_status.describe_job(session, job_id)
    hear(job_id, 0)
    listener = Heard(job_id)
    assert listener.state()["chunks_done"] == 1
    redis_client().publish(progress.status_channel(job_id), before.to_text())
    hear(job_id, 1)
    assert listener.state()["chunks_done"] == 2


@pytest.mark.parametrize("text", ["hello", "[1]", "{}", '{"status": "completed"}'])
def test_what_others_publish_by_hand_is_ignored(redis_server, text: str):
    job_id = create_listening_job(chunks=1)
    listener = Heard(job_id)
    listener.state()
    for channel in (progress.status_channel(job_id), progress.segments_channel(job_id)):
        redis_client().publish(channel, text)
    hear(job_id, 0)
    assert listener.chunks(1) == [0]


def test_who_is_too_slow_is_let_go_and_comes_again(redis_server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_broker, "MAX_QUEUED", 3)
    monkeypatch.setattr(sse, "QUIET_SECONDS", 3600)
    job_id = create_listening_job(chunks=9)
    listener = Heard(job_id)
    listener.state()
    hear(job_id, 0)
    assert listener.chunks(1) == [0]
    for chunk in range(1, 9):
        hear(job_id, chunk)
    [lost] = sse.job_events._listeners[job_id]
    while not lost.has_missed_events:
        time.sleep(0.01)
    told = [event["data"]["chunk"] for event in listener if "event" in event]
    assert told == list(range(1, 1 + len(told)))
    assert Heard(job_id, listener.last_id).chunks(8 - len(told)) == list(range(1 + len(told), 9))


def test_who_takes_nothing_does_not_hold_its_thread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "SEND_TIMEOUT_SECONDS", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sse.limit_send_time({"gunicorn.socket": ours})
        with pytest.raises(TimeoutError):
            ours.sendall(bytes(10_000_000))
    sse.limit_send_time({})


def test_no_more_listeners_are_let_in_than_there_are_threads_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAX_STREAMS", "2")
    settings.cache_clear()
    browser = create_app().test_client()
    job_id = create_listening_job()
    first, second = (browser.get(URL + job_id, buffered=False) for _ in range(2))
    refused = browser.get(URL + job_id)
    assert refused.status_code == 503
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json["code"] == "too_many_streams"
    assert browser.get(f"/api/transcribe/jobs/status/{job_id}").status_code == 200
    first.close()
    assert browser.head(URL + job_id).status_code == 200
    third = browser.get(URL + job_id, buffered=False)
    assert third.status_code == 200
    second.close()
    third.close()


@pytest.mark.parametrize(
    ("threads", "most"), [(1064, 1000), (500, 436), (100, 50), (64, 32), (2, 1)]
)
def test_few_threads_are_shared_with_other_requests(threads: int, most: int):
    sse.job_events.reserve_threads(threads)
    assert sse.job_events._limit == most


def test_listeners_hold_no_connection_to_the_database():
    app = create_app()
    job_id = create_listening_job(chunks=2)
    hear(job_id, 0, tell=False)
    streams = []
    for _ in range(30):
        answer = app.test_client().get(
            URL + job_id, buffered=False, headers={"Last-Event-ID": "told:1"}
        )
        events = answer.iter_encoded()
        assert b"status" in next(events)
        assert b"event: segment" in next(events)
        streams.append((answer, events))
    assert transactions.engine().pool.checkedout() == 0
    with app.app_context():
        assert database.db.engine.pool.checkedout() == 0
    for answer, _ in streams:
        answer.close()
    assert sse.job_events._listeners == {}


def test_a_part_that_was_set_aside_is_no_chunk_to_tell(redis_server):
    job_id = create_listening_job(chunks=1)
    with transaction() as session:
        parts.lease_part(session, PartId(job_id, PartKind.CHUNK, 0), "me")
        parts.fail_part(session, PartId(job_id, PartKind.CHUNK, 0), "me", EngineError("too loud"))
    fail(job_id)
    assert Heard(job_id).end() == ["failed"]
