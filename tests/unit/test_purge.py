"""What a cancel leaves in the queues, with a real Redis and real messages."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

import pytest
import redis
from celery.app.task import Context
from kombu import Connection, pools
from kombu.exceptions import OperationalError

from core.db.transactions import read_session, transaction
from core.jobs import lifecycle, orphaned_leases, parts
from core.jobs import retry as job_retry
from core.jobs.parts import PartId
from core.settings import settings
from core.states import JobStatus, PartKind, Priority, Stage
from core.storage import layout, storage
from tasks import endings, messages, pipeline, purge, queue_lengths
from tasks.celery import app
from tests.factories.jobs import accept_job, begin_preparation, finish_preparation, lease_part
from transcripts.types import ChannelInterval

pytestmark = pytest.mark.usefixtures("database")

QUEUE = "asr.sphinx"
CHUNKS = 500


@pytest.fixture(autouse=True)
def broker(redis_server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test's own Redis, in place of that which was set when Celery was."""
    app.loader.import_default_modules()
    app.set_default()
    for name in ("broker_url", "broker_read_url", "broker_write_url"):
        monkeypatch.setattr(app.conf, name, settings().broker)
    monkeypatch.setattr(app.conf, "result_backend", settings().result_backend)
    _forget_connections()
    yield
    _forget_connections()


def _forget_connections() -> None:
    if backend := getattr(app._local, "backend", None):
        # Celery's results would say goodbye, one by one, to a server that is gone.
        backend.result_consumer.subscribed_to.clear()
    pools.reset()
    app.amqp._producer_pool = app._pool = None
    app._backend_cache = None
    app._local.backend = None


def counted() -> redis.Redis:
    """Where the parts of chords are counted."""
    return app.backend.client


def listening(chunks: int, **options) -> str:
    job_id = accept_job(**options)
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=chunks, shards=1)
    pipeline.fan_out(job_id)
    return job_id


def in_queues() -> list[tuple[str, str, str]]:
    """Queue, job and arguments of all messages; each list in the order in which it was sent."""
    found = []
    with Connection(settings().broker) as connection:
        client = connection.default_channel.client
        for key in sorted(client.keys("*")):
            if client.type(key) == b"list":
                for message in client.lrange(key, 0, -1):
                    headers = json.loads(message)["headers"]
                    found.append((key.decode(), headers.get("job_id"), headers["argsrepr"]))
    return found


def purged() -> None:
    """Do what a worker of the control queue would."""
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("control")
        message = queue.get(block=False)
        [job_id], options, _ = message.payload
        assert message.headers["task"] == "purge"
        message.ack()
        queue.close()
    app.tasks["purge"].apply(args=(job_id,), kwargs=options, throw=True)


def test_a_cancelled_job_leaves_the_queues_to_the_others():
    before, job_id = listening(40), listening(CHUNKS)
    after = listening(40, priority=Priority.HIGH)
    kept = [one for one in in_queues() if one[1] != job_id]
    assert Counter(one[1] for one in in_queues())[job_id] == CHUNKS + 1
    endings.cancel_job(job_id)
    purged()
    assert in_queues() == kept
    assert Counter(one[1] for one in kept) == {before: 41, after: 41}


def test_nothing_is_counted_of_a_cancelled_job_whatever_is_still_in_hand():
    other = listening(3)
    keys = set(counted().keys("*"))
    job_id = listening(3)
    assert lease_part(job_id, 0, "message-1")
    endings.cancel_job(job_id)
    purged()
    left = set(counted().keys("*")) - keys
    in_hand = Context(id="message-1", group=messages.chord_id(job_id, 1), chord={}, group_index=0)
    app.backend.mark_as_revoked("message-1", "terminated", request=in_hand, store_result=False)
    app.backend.on_chord_part_return(in_hand, "SUCCESS", None)
    assert set(counted().keys("*")) == keys | left
    assert [key for key in left if not key.endswith(b".c")] == []
    assert all(0 < counted().ttl(key) <= purge.CHORD_EXPIRES_SECONDS for key in left)
    assert counted().exists(app.backend.get_key_for_group(messages.chord_id(other, 1), ".s"))


def test_a_job_that_was_not_begun_leaves_the_queue():
    job_id, other = accept_job(), accept_job()
    pipeline.start_job(job_id)
    pipeline.start_job(other)
    endings.cancel_job(job_id)
    purged()
    assert [one[1] for one in in_queues()] == [other]


def test_what_is_sent_after_a_cancel_stays():
    job_id = listening(5)
    endings.cancel_job(job_id)
    with transaction() as session:
        job_retry.retry_job(session, job_id)
    pipeline.fan_out(job_id)
    purged()
    assert queue_lengths.count_messages([QUEUE]) == {QUEUE: 5}
    assert counted().exists(app.backend.get_key_for_group(messages.chord_id(job_id, 2), ".s"))


@pytest.mark.parametrize("deleted", [False, True])
def test_what_is_being_sent_during_a_cancel_leaves_as_well(monkeypatch, deleted: bool):
    job_id = accept_job()
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=5, shards=1)
    header = messages.build_part_messages

    def cancelled_meanwhile(*about):
        endings.cancel_job(job_id)
        purged()
        if deleted:
            with transaction() as session:
                lifecycle.delete_job(session, job_id)
        return header(*about)

    monkeypatch.setattr(messages, "build_part_messages", cancelled_meanwhile)
    pipeline.fan_out(job_id)
    assert len([one for one in in_queues() if one[1] == job_id]) == 6
    purged()
    assert in_queues() == []
    assert [key for key in counted().keys("celery-taskset-*") if not key.endswith(b".c")] == []


def test_messages_that_workers_take_meanwhile_are_theirs(monkeypatch):
    job_id = listening(20)
    other = listening(20)
    found = purge._find_messages

    def taken_meanwhile(client, key, *about):
        messages = list(found(client, key, *about))
        client.rpop(key, 3)
        return messages

    monkeypatch.setattr(purge, "_find_messages", taken_meanwhile)
    endings.cancel_job(job_id)
    purged()
    assert [one for one in in_queues() if one[1] == job_id] == []
    assert Counter(one[1] for one in in_queues() if one[0].startswith("asr"))[other] == 20


def test_a_job_with_little_left_goes_before_one_with_much():
    """Also in the middle: what a killed worker had of a long recording is short."""
    long, short = listening(200), listening(2)
    lose(long, 0)
    pipeline.resend_parts(long, is_queue_empty=False)
    lists = {(one[0], one[1]) for one in in_queues() if one[0].startswith("asr")}
    assert lists == {(f"{QUEUE}:5", long), (f"{QUEUE}:2", short), (f"{QUEUE}:2", long)}


def lose(job_id: str, position: int) -> None:
    """Have a chunk in the hands of a worker that is killed."""
    with transaction() as session:
        parts.lease_part(session, PartId(job_id, PartKind.CHUNK, position), "message", "asr@here")
        orphaned_leases.free_leases(session, "asr@here")


def test_sending_again_never_makes_messages_many():
    job_id = listening(20)
    for position in (3, 7):
        lose(job_id, position)
    for _ in range(10):
        pipeline.resend_parts(job_id, is_queue_empty=False)
        pipeline.fan_out(job_id)
    found = Counter(arguments for queue, _, arguments in in_queues() if queue.startswith("asr"))
    assert found.total() == 22
    assert set(found.values()) == {1, 2}
    with read_session() as session:
        assert lifecycle.get_job(session, job_id).run.parts_resent == 2


def test_what_the_broker_did_not_take_is_sent_later(monkeypatch):
    job_id = listening(3)
    lose(job_id, 1)
    broker = settings().broker
    for url in ("redis+socket:///nowhere/redis.sock", broker):
        for name in ("broker_url", "broker_read_url", "broker_write_url"):
            monkeypatch.setattr(app.conf, name, url)
        _forget_connections()
        if url == broker:
            pipeline.fan_out(job_id)
        else:
            with pytest.raises(OperationalError):
                pipeline.resend_parts(job_id, is_queue_empty=False)
    found = Counter(arguments for queue, _, arguments in in_queues() if queue.startswith("asr"))
    assert found.total() == 4


def test_a_broker_that_is_down_does_not_keep_a_job_from_being_cancelled(monkeypatch):
    job_id = listening(2)
    for name in ("broker_url", "broker_read_url", "broker_write_url"):
        monkeypatch.setattr(app.conf, name, "redis+socket:///nowhere/redis.sock")
    _forget_connections()
    endings.cancel_job(job_id)
    app.tasks["purge"].apply(args=(job_id,), kwargs={"queues": [QUEUE], "epoch": 1}, throw=True)
    with read_session() as session:
        assert lifecycle.get_job(session, job_id).run.stage == Stage.OVER


def test_nothing_is_counted_of_a_job_that_ended_well_after_it_was_sent_twice():
    job_id = accept_job()
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=1, shards=0)
    keys = set(counted().keys("*"))
    for _ in range(2):  # the second breaks off what the first counts
        with transaction() as session:
            parts.mark_all_unsent(session)
        pipeline.fan_out(job_id)
    counts = {key for key in counted().keys("celery-*") if key.endswith(b".s")}
    assert len(counts) == 2
    _hear(job_id)
    app.tasks["merge"].apply(args=(job_id,), throw=True)
    with read_session() as session:
        assert lifecycle.get_job(session, job_id).run.status == JobStatus.COMPLETED
    left = {key for key in counted().keys("celery-*") if key not in keys}
    assert [key for key in left if not key.endswith(b".c")] == []
    assert all(0 < counted().ttl(key) <= purge.CHORD_EXPIRES_SECONDS for key in left)


def _hear(job_id: str) -> None:
    """Store the words of the first chunk, as its step does: none."""
    place = ChannelInterval(0.0, 30.0)
    heard = {**asdict(place), "language": "en", "text": "", "words": [], "notes": []}
    data = json.dumps(heard).encode()
    storage().put_bytes(layout.chunk_transcription(job_id, 0), data)
    with transaction() as session:
        part = PartId(job_id, PartKind.CHUNK, 0)
        parts.mark_stored(session, part, place, hashlib.sha256(data).hexdigest())
