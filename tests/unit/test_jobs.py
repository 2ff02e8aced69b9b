"""The life of a job and of its parts: every change happens once, whoever asks twice."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from core.db import transactions
from core.db.models import JobPart
from core.db.transactions import read_session, transaction
from core.errors import EngineError, KillsWorker, NotFound, Unavailable
from core.jobs import job_leases, lifecycle, parts, recovery
from core.jobs.lifecycle import ActiveMessages
from core.jobs.parts import PartId
from core.jobs.recovery import Need
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import JobStatus, PartKind, PartState, Stage
from tests.factories.jobs import (
    GAP_WARNING,
    WAITING_WARNINGS,
    TimeMachine,
    accept_job,
    begin_merge,
    begin_preparation,
    claim_lost_chunks,
    complete_job,
    create_listening_job,
    finish_preparation,
    lease_part,
    list_needs,
    read_state,
    send_parts,
    store_all_parts,
    store_part,
)
from transcripts.types import ChannelInterval
from transcripts.warning import TranscriptWarning, WarningCode, to_json

pytestmark = pytest.mark.usefixtures("database")

IGNORED = TranscriptWarning(WarningCode.OPTION_IGNORED, "it has no effect")


def hand_back(*owners: str, worker: str | None = None, counts: bool = False) -> None:
    with transaction() as session:
        parts.requeue_parts(session, owners, worker, counts=counts)
        job_leases.requeue_jobs(session, owners, worker, counts=counts)


def chunk(job_id: str, position: int = 0) -> JobPart:
    with read_session() as session:
        return lifecycle.list_parts(session, job_id, PartKind.CHUNK)[position]


def warnings(job_id: str) -> Sequence[TranscriptWarning]:
    with read_session() as session:
        return lifecycle.get_job(session, job_id).transcript.warnings


def test_what_a_job_waited_for_is_forgotten_when_it_is_completed_and_the_rest_is_not():
    job_id = accept_job(warnings=[*WAITING_WARNINGS, IGNORED])
    begin_preparation(job_id)
    finish_preparation(job_id)
    assert warnings(job_id) == [*WAITING_WARNINGS, IGNORED]
    store_all_parts(job_id)
    begin_merge(job_id)
    complete_job(job_id)
    assert warnings(job_id) == [IGNORED, GAP_WARNING]


def test_a_job_goes_its_way_and_progress_never_goes_down():
    job_id = accept_job()
    seen = [read_state(job_id)]
    assert begin_preparation(job_id)
    seen.append(read_state(job_id))
    assert finish_preparation(job_id)
    seen.append(read_state(job_id))
    for index in range(2):
        assert lease_part(job_id, index) == ChannelInterval(30.0 * index, 30.0 * index + 30)
        store_part(job_id, index)
        seen.append(read_state(job_id))
    store_part(job_id, 0, PartKind.SHARD)
    seen.append(read_state(job_id))
    assert begin_merge(job_id)
    seen.append(read_state(job_id))
    assert complete_job(job_id)
    seen.append(read_state(job_id))

    progress = [now["progress"] for now in seen]
    assert progress == sorted(progress)
    assert progress[0] == 0
    assert progress[-2] < 100 == progress[-1]
    assert [now["status"] for now in seen] == ["queued", *["processing"] * 6, "completed"]
    assert seen[-1]["result"] == {"segments_count": 1, "duration": 60.0}
    assert seen[-1]["warnings"] == [to_json(GAP_WARNING)]
    assert (seen[3]["chunks_done"], seen[3]["chunks_total"]) == (1, 2)
    assert (seen[3]["audio_seconds_done"], seen[3]["audio_seconds_total"]) == (30.0, 60.0)


def test_the_time_left_is_that_of_the_slower_kind_of_parts(time_machine: TimeMachine):
    job_id = create_listening_job(chunks=4)
    time_machine.forward(1.0)
    store_part(job_id, 0, PartKind.SHARD)
    assert read_state(job_id)["seconds_left"] is None, "nothing is known of the chunks yet"
    time_machine.forward(9.0)
    store_part(job_id, 0)
    assert read_state(job_id)["seconds_left"] == pytest.approx(30.0)


def test_an_unknown_job_is_not_found():
    with read_session() as session, pytest.raises(NotFound):
        lifecycle.get_job(session, str(uuid.uuid4()))


def test_a_spec_survives_being_stored():
    job_id = accept_job(language="en-US", min_speakers=2)
    with read_session() as session:
        spec = lifecycle.read_spec(lifecycle.get_job(session, job_id))
    assert spec == JobSpec(engine="sphinx", diarizer="classic", language="en-US", min_speakers=2)


def test_engines_of_others_can_be_kept():
    if (
        transactions.engine().dialect.name == "postgresql"
    ):  # as the migrations do where it is installed
        with transactions.engine().begin() as connection:
            connection.execute(
                text("ALTER TYPE transcription_engine ADD VALUE IF NOT EXISTS 'parrot'")
            )
    job_id = str(uuid.uuid4())
    spec = JobSpec(engine="parrot", diarizer=None)
    with transaction() as session:
        lifecycle.accept_job(
            session, job_id, spec, filename="a", audio_bytes=1, audio_sha256="0" * 64
        )
    assert read_state(job_id)["engine"] == "parrot"


def test_only_one_worker_prepares():
    job_id = accept_job()
    assert begin_preparation(job_id, "first")
    assert not begin_preparation(job_id, "second")
    assert not finish_preparation(job_id, "second"), (
        "who does not own the job cannot say it is prepared"
    )
    assert finish_preparation(job_id, "first")
    assert not finish_preparation(job_id, "first"), "a second time changes nothing"
    assert not begin_preparation(job_id, "second")


def test_a_worker_that_shows_no_life_loses_the_job(time_machine: TimeMachine):
    job_id = accept_job()
    assert begin_preparation(job_id, "first")
    time_machine.forward(settings().lease_seconds + 1)
    assert begin_preparation(job_id, "second")
    assert not finish_preparation(job_id, "first"), "the first came back too late"
    assert finish_preparation(job_id, "second")


def test_a_worker_that_shows_life_keeps_job_and_part(time_machine: TimeMachine):
    preparing, hearing = accept_job(), create_listening_job()
    assert begin_preparation(preparing, "first")
    assert lease_part(hearing, 0, "first")
    for _ in range(5):
        time_machine.forward(settings().lease_seconds - 1)
        with transaction() as session:
            job_leases.renew_leases(session, ["first"])
            parts.renew_leases(session, ["first"])
    assert not begin_preparation(preparing, "second")
    assert lease_part(hearing, 0, "second") is None


def test_the_same_message_again_takes_over_at_once():
    job_id = create_listening_job()
    assert lease_part(job_id, 0, "message-1")
    assert lease_part(job_id, 0, "message-2") is None
    assert lease_part(job_id, 0, "message-1") == ChannelInterval(0.0, 30.0)


def test_a_stored_part_is_left_alone():
    job_id = create_listening_job()
    lease_part(job_id, 0)
    store_part(job_id, 0)
    assert lease_part(job_id, 0) is None


def test_a_failed_part_is_never_tried_again():
    job_id = create_listening_job()
    part = PartId(job_id, PartKind.CHUNK, 0)
    lease_part(job_id, 0, "first")
    with transaction() as session:
        parts.fail_part(session, part, "first", EngineError("no such sound"))
    assert lease_part(job_id, 0, "second") is None
    with read_session() as session:
        row = lifecycle.list_parts(session, job_id, PartKind.CHUNK)[0]
    assert row.error == {"code": "engine_failed", "message": "no such sound"}


def test_of_two_messages_for_a_part_that_waits_one_is_left(time_machine: TimeMachine):
    """Housekeeping may send a part again that is only waiting: through a long outage, for hours."""
    job_id = create_listening_job()
    part, down = PartId(job_id, PartKind.CHUNK, 0), Unavailable("Riva does not answer")
    assert lease_part(job_id, 0, "first")
    with transaction() as session:
        parts.release_part(session, part, "first", down, wait=60.0, counts=False)
    assert read_state(job_id)["message"].endswith("waits for a retry: Riva does not answer")
    assert lease_part(job_id, 0, "second") is None, "the first is under way"

    time_machine.forward(61)
    assert read_state(job_id)["message"] == "Transcribing with PocketSphinx"
    assert lease_part(job_id, 0, "third"), "the first is late or lost"
    with transaction() as session:
        parts.release_part(session, part, "third", down, wait=60.0, counts=False)
    assert lease_part(job_id, 0, "first") is None
    assert lease_part(job_id, 0, "third")


def test_an_outage_is_not_counted_against_a_part_or_a_job(time_machine: TimeMachine):
    job_id, preparing = create_listening_job(), accept_job()
    part = PartId(job_id, PartKind.CHUNK, 0)
    for _ in range(3 * settings().chunk_max_retries):
        assert lease_part(job_id, 0, "me")
        assert begin_preparation(preparing, "me")
        with transaction() as session:
            reason = Unavailable("the object store does not answer")
            parts.release_part(session, part, "me", reason, wait=1.0, counts=False)
            job_leases.release_job(session, preparing, "me", wait=1.0, counts=False)
        time_machine.forward(2.0)
    assert read_state(preparing)["status"] == "processing"


def test_a_part_that_kills_its_workers_is_set_aside(time_machine: TimeMachine):
    job_id = create_listening_job()
    for attempt in range(settings().chunk_max_retries + 1):
        assert lease_part(job_id, 0, f"worker {attempt}")
        time_machine.forward(settings().lease_seconds + 1)
    assert lease_part(job_id, 0, "one more") is None
    with read_session() as session:
        row = lifecycle.list_parts(session, job_id, PartKind.CHUNK)[0]
    assert row.state == PartState.FAILED
    assert row.error["code"] == "worker_lost"


def test_a_job_that_kills_its_workers_fails(time_machine: TimeMachine):
    job_id = accept_job()
    for attempt in range(settings().chunk_max_retries + 1):
        assert begin_preparation(job_id, f"worker {attempt}")
        time_machine.forward(settings().lease_seconds + 1)
    with pytest.raises(KillsWorker):
        begin_preparation(job_id, "one more")


def test_merging_waits_for_every_part():
    job_id = create_listening_job()
    assert not begin_merge(job_id)
    store_part(job_id, 0)
    store_part(job_id, 1)
    assert not begin_merge(job_id), "the speakers are not known yet"
    store_part(job_id, 0, PartKind.SHARD)
    assert begin_merge(job_id, "first")
    assert not begin_merge(job_id, "second")


def test_a_job_ends_once():
    job_id = create_listening_job()
    store_all_parts(job_id)
    begin_merge(job_id, "first")
    assert not complete_job(job_id, "second")
    assert complete_job(job_id, "first")
    assert not complete_job(job_id, "first")
    with transaction() as session:
        assert not lifecycle.fail_job(session, job_id, EngineError("too late"))
    now = read_state(job_id)
    assert (now["status"], now["result"]["segments_count"]) == ("completed", 1)


def test_a_merge_that_finds_a_part_missing_has_it_done_again():
    job_id = create_listening_job()
    store_all_parts(job_id)
    begin_merge(job_id, "first")
    with transaction() as session:
        lifecycle.reopen_parts(session, job_id, "first", {(PartKind.CHUNK, 0)})
    with transaction() as session:
        [found] = parts.claim_unsent_parts(session, job_id)
        assert (found.part, found.seconds) == (PartId(job_id, PartKind.CHUNK, 0), 30.0)
        assert lifecycle.get_job(session, job_id).run.stage == Stage.LISTEN
    assert lease_part(job_id, 0)


def test_failing_tells_why():
    job_id = accept_job()
    with transaction() as session:
        assert lifecycle.fail_job(session, job_id, EngineError("the reason"))
    now = read_state(job_id)
    assert now["status"] == JobStatus.FAILED
    assert now["message"] == "the reason"
    assert now["error"] == {"code": "engine_failed", "message": "the reason"}
    assert not begin_preparation(job_id)


def test_two_dispatchers_that_saw_the_same_do_not_both_send():
    job_id = create_listening_job()
    with transaction() as session:
        epoch = lifecycle.get_job(session, job_id).run.epoch
        assert lifecycle.mark_dispatched(session, job_id, epoch)
        assert not lifecycle.mark_dispatched(session, job_id, epoch)


def surely_needs(job_id: str) -> list[Need]:
    """Also when the queues are full of other messages."""
    with read_session() as session:
        found = recovery.find_abandoned(session)
    return [one.need for one in found if one.job_id == job_id and not one.may_be_queued]


class TestRecovery:
    """Housekeeping finds every job that nobody works on, and no other."""

    def test_a_job_whose_message_never_left(self):
        assert list_needs(accept_job()) == [Need.PREPARE]

    def test_a_job_that_was_sent_is_given_time(self, time_machine: TimeMachine):
        job_id = accept_job()
        with transaction() as session:
            lifecycle.mark_dispatched(session, job_id)
        assert list_needs(job_id) == []
        time_machine.forward(recovery.MESSAGE_TIMEOUT_SECONDS + 1)
        assert list_needs(job_id) == [Need.PREPARE]

    @pytest.mark.parametrize("stage", [Stage.PREPARE, Stage.MERGE])
    def test_a_job_whose_owner_is_gone(self, time_machine: TimeMachine, stage: Stage):
        job_id = accept_job() if stage is Stage.PREPARE else create_listening_job()
        if stage is Stage.PREPARE:
            begin_preparation(job_id)
        else:
            store_all_parts(job_id)
            begin_merge(job_id)
        assert list_needs(job_id) == []
        time_machine.forward(settings().lease_seconds + 1)
        assert list_needs(job_id) == [Need(stage)]

    @pytest.mark.parametrize("stage", [Stage.PREPARE, Stage.MERGE])
    def test_a_job_that_was_sent_again_waits_for_its_turn(
        self, time_machine: TimeMachine, stage: Stage
    ):
        """However long its queue is, and whoever was killed or handed it back."""
        job_id = accept_job() if stage is Stage.PREPARE else create_listening_job()
        if stage is Stage.MERGE:
            store_all_parts(job_id)
        begin = begin_preparation if stage is Stage.PREPARE else begin_merge
        begin(job_id, "killed")
        time_machine.forward(settings().lease_seconds + 1)
        assert surely_needs(job_id) == [Need(stage)]
        with transaction() as session:
            lifecycle.mark_dispatched(session, job_id)
        assert list_needs(job_id) == []
        time_machine.forward(3600)
        assert surely_needs(job_id) == [], "its queue may be long"
        assert list_needs(job_id) == [Need(stage)], "or empty"
        assert begin(job_id, "stopped")
        hand_back("stopped", worker="worker" if stage is Stage.PREPARE else None)
        assert list_needs(job_id) == [], "its own message comes back"
        assert begin(job_id, "another")

    def test_a_part_whose_owner_is_gone(self, time_machine: TimeMachine):
        job_id = create_listening_job()
        send_parts(job_id)
        lease_part(job_id, 0)
        assert list_needs(job_id) == []
        time_machine.forward(settings().lease_seconds + 1)
        assert surely_needs(job_id) == [Need.RESEND]

    def test_a_part_is_sent_again_once(self, time_machine: TimeMachine):
        """And the others, which wait, are left where they are."""
        job_id = create_listening_job(chunks=3)
        assert len(send_parts(job_id)) == 4
        assert lease_part(job_id, 1, "killed")
        time_machine.forward(settings().lease_seconds + 1)
        assert claim_lost_chunks(job_id) == [(1, True)]
        for _ in range(100):
            time_machine.forward(60)
            assert surely_needs(job_id) == []
            assert claim_lost_chunks(job_id) == []
        assert chunk(job_id, 1).state == PartState.WAITING
        assert lease_part(job_id, 1, "another")

    def test_a_part_that_is_handed_back_is_not_sent_again(self, time_machine: TimeMachine):
        job_id = create_listening_job()
        send_parts(job_id)
        assert lease_part(job_id, 0, "message")
        hand_back("message")
        assert (chunk(job_id).state, chunk(job_id).attempts) == (PartState.WAITING, 0)
        assert list_needs(job_id) == []
        time_machine.forward(settings().lease_seconds + 1)
        assert surely_needs(job_id) == []
        assert send_parts(job_id) == [], "its own message comes back"
        assert lease_part(job_id, 0, "message")

    def test_what_another_worker_has_by_the_same_message_stays_its_own(self):
        job_id = create_listening_job()
        assert lease_part(job_id, 0, "message")
        hand_back("message", worker="another")
        assert (chunk(job_id).state, chunk(job_id).attempts) == (PartState.RUNNING, 1)

    def test_a_lost_process_is_one_of_the_tries_of_its_part(self):
        job_id = create_listening_job()
        assert lease_part(job_id, 0, "message")
        hand_back("message", counts=True)
        assert (chunk(job_id).state, chunk(job_id).attempts) == (PartState.WAITING, 1)

    def test_a_message_sent_ahead_does_not_stand_for_its_part(self):
        """The chord counts a part whose message, sent ahead of it, was handed back before."""
        job_id = create_listening_job(chunks=1, shards=0)
        assert lease_part(job_id, 0, "sent ahead")
        hand_back("sent ahead")
        assert send_parts(job_id) == [PartId(job_id, PartKind.CHUNK, 0)]

    def test_a_message_sent_ahead_stands_for_a_part_that_is_in_hand_when_all_are_sent(
        self, time_machine
    ):
        job_id = create_listening_job(chunks=1, shards=0)
        assert lease_part(job_id, 0, "sent ahead")
        assert send_parts(job_id) == []
        hand_back("sent ahead")
        time_machine.forward(3600)
        assert surely_needs(job_id) == []

    def test_parts_that_wait_behind_a_working_one_are_left_alone(self, time_machine: TimeMachine):
        job_id = create_listening_job()
        send_parts(job_id)
        lease_part(job_id, 0, "first")
        time_machine.forward(recovery.MESSAGE_TIMEOUT_SECONDS + 1)
        with transaction() as session:
            parts.renew_leases(session, ["first"])
        assert list_needs(job_id) == []

    def test_parts_that_were_never_sent(self, time_machine: TimeMachine):
        job_id = create_listening_job()
        with transaction() as session:
            lifecycle.mark_dispatched(session, job_id)
        assert list_needs(job_id) == [], "whoever prepared it is about to"
        time_machine.forward(recovery.MESSAGE_TIMEOUT_SECONDS + 1)
        assert surely_needs(job_id) == [Need.FAN_OUT]
        assert len(send_parts(job_id)) == 3
        assert send_parts(job_id) == [], "of two who send, one does"

    def test_parts_whose_messages_are_lost(self, time_machine: TimeMachine):
        job_id = create_listening_job()
        send_parts(job_id)
        store_part(job_id, 0)
        assert list_needs(job_id) == []
        time_machine.forward(recovery.MESSAGE_TIMEOUT_SECONDS + 1)
        assert surely_needs(job_id) == []
        assert list_needs(job_id) == [Need.RESEND]
        assert claim_lost_chunks(job_id) == [], "they may wait in a long queue"
        assert claim_lost_chunks(job_id, is_queue_empty=True) == [(1, False)]
        assert claim_lost_chunks(job_id, is_queue_empty=True) == []

    def test_a_part_that_is_to_be_tried_again_is_given_its_pause(self, time_machine: TimeMachine):
        job_id = create_listening_job(chunks=1, shards=0)
        send_parts(job_id)
        lease_part(job_id, 0, "me")
        time_machine.forward(recovery.MESSAGE_TIMEOUT_SECONDS + 1)
        with transaction() as session:
            part = PartId(job_id, PartKind.CHUNK, 0)
            parts.release_part(session, part, "me", EngineError("hiccup"), wait=60.0)
        assert list_needs(job_id) == []
        time_machine.forward(61)
        assert list_needs(job_id) == [], "its message waits in a queue since a second"
        time_machine.forward(recovery.MESSAGE_TIMEOUT_SECONDS)
        assert list_needs(job_id) == [Need.RESEND]

    def test_a_merge_that_nobody_asked_for(self, time_machine: TimeMachine):
        job_id = create_listening_job()
        store_all_parts(job_id)
        time_machine.forward(recovery.MESSAGE_TIMEOUT_SECONDS + 1)
        assert list_needs(job_id) == [Need.MERGE]

    def test_a_job_that_is_over_needs_nothing(self, time_machine: TimeMachine):
        job_id = create_listening_job()
        store_all_parts(job_id)
        begin_merge(job_id)
        complete_job(job_id)
        time_machine.forward(1000)
        assert list_needs(job_id) == []
        with read_session() as session:
            assert recovery.list_unfinished(session) == []

    def test_a_broker_that_forgot_everything(self):
        waiting, hearing = accept_job(), create_listening_job()
        with transaction() as session:
            lifecycle.mark_dispatched(session, waiting)
            lifecycle.mark_dispatched(session, hearing)
        with read_session() as session:
            found = {one.job_id: one.need for one in recovery.list_unfinished(session)}
        assert found == {waiting: Need.PREPARE, hearing: Need.FAN_OUT}
        assert len(send_parts(hearing)) == 3
        assert send_parts(hearing) == []
        with transaction() as session:
            parts.mark_all_unsent(session)
        assert len(send_parts(hearing)) == 3


def test_a_cancelled_job_names_what_is_in_hand_and_housekeeping_finds_who_goes_on(time_machine):
    job_id = create_listening_job()
    assert lease_part(job_id, 0, "message-1")
    with transaction() as session:
        assert lifecycle.cancel_job(session, job_id) == ActiveMessages(part_messages=("message-1",))
    with read_session() as session:
        assert recovery.find_stale_messages(session) == ["message-1"]
    time_machine.forward(settings().lease_seconds + 1)
    with read_session() as session:
        assert recovery.find_stale_messages(session) == [], "nobody renews its lease: it has ended"


def test_a_job_in_preparation_is_in_hand_too():
    job_id = accept_job()
    begin_preparation(job_id, "message-1")
    with transaction() as session:
        assert lifecycle.cancel_job(session, job_id) == ActiveMessages(prepare_message="message-1")
