"""Callers are told once how their job ended, however their receivers behave."""

from __future__ import annotations

import json
import time
import uuid
from email.utils import formatdate

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from standardwebhooks import Webhook, WebhookVerificationError

from core import clock, webhooks
from core.db.models import DeliveryRow
from core.db.transactions import read_session, transaction
from core.errors import EngineError
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.settings import settings
from core.webhooks import LEASE_SECONDS, RETRY_DELAYS
from tasks import pipeline, queue_lengths
from tasks.celery import app as celery_app
from tasks.steps import deliver as step
from tasks.steps import housekeeping
from tests.factories.jobs import (
    TimeMachine,
    begin_merge,
    begin_preparation,
    complete_job,
    finish_preparation,
)
from tests.factories.recordings import build_recording
from tests.factories.requests import SUBMIT_URL, create_key
from tests.receiver import Receiver, listening, reply
from transcribe_api.app import create_app
from transcribe_api.cli.command import main

pytestmark = pytest.mark.usefixtures("database")

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTGOING_ALLOW", "127.0.0.1/32")
    settings.cache_clear()
    celery_app.loader.import_default_modules()


@pytest.fixture
def receiver():
    with listening() as ours:
        yield ours


def accept(url: str | None, owner: uuid.UUID | None = None) -> str:
    job_id = str(uuid.uuid4())
    spec = JobSpec(engine="sphinx", diarizer=None, callback_url=url)
    with transaction() as session:
        lifecycle.accept_job(
            session, job_id, spec,
            filename="a.wav", audio_bytes=None, audio_sha256=None, owner_id=owner,
        )  # fmt: skip
    return job_id


def ended(url: str | None, how: str = "cancelled", owner: uuid.UUID | None = None) -> str:
    """A job that is over."""
    job_id = accept(url, owner)
    if how == "completed":
        begin_preparation(job_id)
        finish_preparation(job_id, chunks=0, shards=0)
        begin_merge(job_id)
        complete_job(job_id)
    with transaction() as session:
        if how == "failed":
            lifecycle.fail_job(session, job_id, EngineError("no luck"))
        elif how == "cancelled":
            lifecycle.cancel_job(session, job_id)
    return job_id


def send(job_id: str) -> None:
    celery_app.tasks["deliver"].apply(args=(job_id,), throw=True)


def deliveries(job_id: str) -> list[DeliveryRow]:
    with read_session() as session:
        return list(webhooks.list_deliveries(session, job_id))


def only(job_id: str) -> DeliveryRow:
    (delivery,) = deliveries(job_id)
    return delivery


def verified(receiver: Receiver, owner: uuid.UUID | None = None) -> dict:
    """The last request, if the library finds it signed by us."""
    last = receiver.requests[-1]
    return Webhook(webhooks.get_signing_secret(owner)).verify(last.body, last.headers)


def status(code: int, **headers: str):
    return lambda handler, _: reply(handler, code, **headers)


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
def test_each_way_to_end_is_told_and_signed(receiver: Receiver, how: str):
    job_id = ended(f"{receiver.url}/hook?token=1", how)
    send(job_id)
    told = verified(receiver)
    assert told["type"] == f"job.{how}"
    assert told["timestamp"] == told["data"]["completed_at"]
    assert (told["data"]["job_id"], told["data"]["status"]) == (job_id, how)
    with read_session() as session:
        assert told["data"]["transcript_id"] == str(
            lifecycle.get_job(session, job_id).transcript_id
        )
    outcomes = {
        "completed": {"segments_count": 1, "duration": 0.0},
        "failed": {"code": "engine_failed", "message": "no luck"},
    }
    assert (told["data"].get("result") or told["data"].get("error")) == outcomes.get(how)
    assert ("result_url" in told["data"]) == (how == "completed")
    request = receiver.requests[0]
    assert (request.method, request.path) == ("POST", "/hook?token=1")
    assert request.headers["Content-Type"] == "application/json"
    delivery = only(job_id)
    assert request.headers["webhook-id"] == str(delivery.id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    assert delivery.delivered_at is not None


def test_the_result_is_where_the_webhook_says():
    app = create_app()
    with app.test_request_context():
        from flask import url_for

        assert url_for("results.show", job_id="1") == webhooks.RESULT_PATH + "1"


def test_who_is_not_to_be_told_is_not():
    job_id = ended(None)
    send(job_id)
    assert deliveries(job_id) == []


def test_an_end_that_does_not_happen_is_not_told(receiver: Receiver):
    """Only what is committed is told, and an end happens once."""
    job_id = accept(receiver.url)
    with read_session() as session:  # which leaves no trace
        lifecycle.cancel_job(session, job_id)
        assert session.new or session.dirty or webhooks.has_due_delivery(session, job_id)
    assert deliveries(job_id) == []
    with transaction() as session:
        assert lifecycle.fail_job(session, job_id, EngineError("no luck"))
        assert not lifecycle.fail_job(session, job_id, EngineError("again"))
    assert len(deliveries(job_id)) == 1


def test_a_second_message_sends_nothing(receiver: Receiver):
    job_id = ended(receiver.url)
    send(job_id)
    send(job_id)
    assert len(receiver.requests) == 1


def test_two_workers_never_send_the_same_try():
    job_id = ended("http://127.0.0.1:9/")
    with transaction() as session:
        assert webhooks.claim_delivery(session, job_id) is not None
    with transaction() as session:
        assert webhooks.claim_delivery(session, job_id) is None


def test_what_a_lost_worker_had_in_hand_is_sent_by_another(
    receiver: Receiver, time_machine: TimeMachine
):
    job_id = ended(receiver.url)
    with transaction() as session:
        lost = webhooks.claim_delivery(session, job_id)
    time_machine.forward(LEASE_SECONDS + 1)
    send(job_id)
    assert only(job_id).state == "delivered"
    with transaction() as session:  # it was only slow
        webhooks.record_result(session, lost, webhooks.DeliveryResult(error="too late"))
    assert only(job_id).state == "delivered"


def test_tries_grow_rarer_and_end_after_a_day(receiver: Receiver, time_machine: TimeMachine):
    receiver.answer = status(500)
    job_id = ended(receiver.url)
    for wait in RETRY_DELAYS:
        send(job_id)
        now, delivery = clock.now(), only(job_id)
        assert delivery.state == "waiting"
        assert now + wait <= delivery.next_try_at <= now + 1.2 * wait
        before = len(receiver.requests)
        time_machine.forward(wait - 1)
        send(job_id)
        assert len(receiver.requests) == before, "it is not due yet"
        time_machine.forward(0.2 * wait + 2)
    send(job_id)
    delivery = only(job_id)
    assert (delivery.state, delivery.last_status) == ("failed", 500)
    assert delivery.attempts == len(receiver.requests) == len(RETRY_DELAYS) + 1
    assert "500" in delivery.last_error
    assert len({one.headers["webhook-id"] for one in receiver.requests}) == 1
    assert 24 * 3600 < sum(RETRY_DELAYS) < 48 * 3600


def test_a_receiver_that_comes_back_is_told(receiver: Receiver, time_machine: TimeMachine):
    receiver.answer = status(503)
    job_id = ended(receiver.url, "completed")
    send(job_id)
    receiver.answer = status(204)
    time_machine.forward(2 * RETRY_DELAYS[0])
    send(job_id)
    assert verified(receiver)["type"] == "job.completed"
    delivery = only(job_id)
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    assert (delivery.last_status, delivery.last_error) == (204, None)


def test_gone_means_never_again(receiver: Receiver):
    receiver.answer = status(410)
    job_id = ended(receiver.url)
    send(job_id)
    assert (only(job_id).state, only(job_id).attempts) == ("failed", 1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("600", 600),
        (formatdate(NOW + 900, usegmt=True), 900),
        ("1", RETRY_DELAYS[0]),
        (formatdate(NOW - 900, usegmt=True), RETRY_DELAYS[0]),
        ("99999999999", webhooks.MAX_RETRY_AFTER_SECONDS),
        ("soon", RETRY_DELAYS[0]),
        ("-5", RETRY_DELAYS[0]),
        ("", RETRY_DELAYS[0]),
        ("²", RETRY_DELAYS[0]),
    ],
)
def test_a_receiver_may_ask_for_time(receiver: Receiver, monkeypatch, header: str, seconds: float):
    monkeypatch.setattr(clock, "now", lambda: float(NOW))
    receiver.answer = status(429, Retry_After=header)
    job_id = ended(receiver.url)
    send(job_id)
    assert seconds <= only(job_id).next_try_at - NOW <= 1.2 * seconds


def test_redirects_are_not_followed(receiver: Receiver):
    with listening(status(302, Location=receiver.url)) as first:
        job_id = ended(first.url)
        send(job_id)
    assert receiver.connections == 0
    delivery = only(job_id)
    assert (delivery.state, delivery.last_status) == ("waiting", 302)
    assert "redirects are not followed" in delivery.last_error


def test_a_receiver_that_hangs_costs_a_try_and_no_more(receiver: Receiver, monkeypatch):
    monkeypatch.setattr(step, "TIMEOUT_SECONDS", 0.3)
    receiver.answer = lambda _handler, _request: time.sleep(1)
    job_id = ended(receiver.url)
    send(job_id)
    delivery = only(job_id)
    assert (delivery.state, delivery.last_status) == ("waiting", None)
    assert "did not answer" in delivery.last_error


def test_of_a_long_answer_only_the_beginning_is_read(receiver: Receiver):
    sent = []

    def flood(handler, _):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(10_000):  # until who asked has gone
            handler.wfile.write(b"x" * 65_536)
            sent.append(65_536)

    receiver.answer = flood
    job_id = ended(receiver.url)
    send(job_id)
    assert only(job_id).state == "delivered"
    assert len(sent) < 10_000


def test_a_receiver_that_cannot_be_reached_is_tried_again():
    with listening() as gone:
        url = gone.url
    job_id = ended(url)
    send(job_id)
    assert only(job_id).state == "waiting"
    assert "cannot be reached" in only(job_id).last_error


def test_what_nobody_expects_counts_as_a_try(monkeypatch):
    monkeypatch.setattr(step, "_build_headers", lambda *_: 1 / 0)
    job_id = ended("http://127.0.0.1:9/")
    send(job_id)
    assert (only(job_id).state, only(job_id).attempts) == ("waiting", 1)


def test_an_address_that_became_private_is_not_connected_to(receiver: Receiver, monkeypatch):
    job_id = ended(receiver.url)
    monkeypatch.setenv("OUTGOING_ALLOW", "")
    settings.cache_clear()
    send(job_id)
    assert receiver.connections == 0
    assert only(job_id).state == "waiting"
    assert "not on the public internet" in only(job_id).last_error


def test_every_owner_has_a_secret_of_its_own(receiver: Receiver):
    owner = uuid.uuid4()
    send(ended(receiver.url, owner=owner))
    assert verified(receiver, owner)["type"] == "job.cancelled"
    with pytest.raises(WebhookVerificationError):
        verified(receiver)
    assert webhooks.get_signing_secret(owner).startswith("whsec_")


def test_no_log_shows_what_may_be_a_secret_in_a_url(receiver: Receiver, caplog, capsys):
    caplog.set_level("DEBUG")
    send(ended(f"{receiver.url}/hook?token=verysecret"))
    said = capsys.readouterr()
    assert "verysecret" not in caplog.text + said.out + said.err


def test_slow_receivers_leave_threads_for_other_work(receiver: Receiver):
    job_id = ended(receiver.url)
    while step._slots.acquire(blocking=False):
        pass
    send(job_id)
    assert receiver.connections == 0
    step._slots.release(2)
    send(job_id)
    assert only(job_id).state == "delivered"


def test_housekeeping_sends_what_is_due_unless_it_waits_already(
    monkeypatch, time_machine: TimeMachine
):
    sent: list[str] = []
    monkeypatch.setattr(pipeline, "send_delivery", sent.append)
    in_queue = 0
    monkeypatch.setattr(
        queue_lengths, "count_messages", lambda queues: dict.fromkeys(queues, in_queue)
    )
    job_id = ended("http://127.0.0.1:9/")
    ended(None)
    housekeeping.housekeeping()
    assert sent == [job_id]
    in_queue = 1
    housekeeping.housekeeping()
    assert sent == [job_id]
    in_queue = 0
    with transaction() as session:
        webhooks.claim_delivery(session, job_id)
    housekeeping.housekeeping()
    assert sent == [job_id], "it is being sent"
    time_machine.forward(LEASE_SECONDS + 1)
    housekeeping.housekeeping()
    assert sent == [job_id, job_id]


def test_a_broker_that_is_down_changes_nothing_for_who_ends_a_job(receiver: Receiver):
    job_id = ended(receiver.url)
    pipeline.send_delivery(job_id)
    assert only(job_id).state == "waiting"


# Over REST


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def listed(browser: FlaskClient, job_id: str) -> list[dict]:
    answer = browser.get(f"/api/transcribe/jobs/{job_id}/deliveries")
    assert answer.status_code == 200
    return answer.json["deliveries"]


def replay(browser: FlaskClient, job_id: str, delivery_id: str):
    return browser.post(f"/api/transcribe/jobs/{job_id}/deliveries/{delivery_id}/replay")


def test_a_caller_sees_how_far_a_delivery_is(browser: FlaskClient, receiver: Receiver):
    receiver.answer = status(500)
    job_id = ended(f"{receiver.url}/hook")
    send(job_id)
    (told,) = listed(browser, job_id)
    assert told["url"] == f"{receiver.url}/hook"
    assert (told["event"], told["state"], told["attempts"]) == ("job.cancelled", "waiting", 1)
    assert told["last_status"] == 500
    assert told["created_at"] < told["next_try_at"]
    assert told["delivered_at"] is None
    receiver.answer = status(200)
    assert replay(browser, job_id, told["id"]).status_code == 202
    send(job_id)
    (told,) = listed(browser, job_id)
    assert (told["state"], told["next_try_at"]) == ("delivered", None)
    assert told["delivered_at"] > told["created_at"]


def test_a_replay_begins_anew_also_after_the_last_try(browser: FlaskClient, receiver: Receiver):
    receiver.answer = status(410)
    job_id = ended(receiver.url)
    send(job_id)
    receiver.answer = status(500)
    answer = replay(browser, job_id, str(only(job_id).id))
    assert (answer.status_code, answer.json["state"], answer.json["attempts"]) == (
        202,
        "waiting",
        0,
    )
    send(job_id)
    assert (only(job_id).state, only(job_id).attempts) == ("waiting", 1)


def test_what_is_being_sent_is_not_replayed(browser: FlaskClient, time_machine: TimeMachine):
    job_id = ended("http://127.0.0.1:9/")
    with transaction() as session:
        taken = webhooks.claim_delivery(session, job_id)
    assert taken is not None
    assert replay(browser, job_id, str(taken.id)).status_code == 409
    time_machine.forward(LEASE_SECONDS + 1)
    assert replay(browser, job_id, str(taken.id)).status_code == 202


def test_deliveries_are_found_under_their_own_job_only(browser: FlaskClient):
    job_id, other = ended("http://127.0.0.1:9/"), ended(None)
    delivery_id = str(only(job_id).id)
    assert replay(browser, other, delivery_id).status_code == 404
    assert replay(browser, job_id, str(uuid.uuid4())).status_code == 404
    assert replay(browser, job_id, "1").status_code == 422
    assert browser.get(f"/api/transcribe/jobs/{uuid.uuid4()}/deliveries").status_code == 404
    assert listed(browser, other) == []


def test_deliveries_go_with_their_job(browser: FlaskClient):
    job_id = ended("http://127.0.0.1:9/")
    assert browser.delete(f"/api/transcribe/jobs/{job_id}").status_code == 204
    assert deliveries(job_id) == []
    send(job_id)


def test_the_secret_is_the_same_over_rest_and_on_the_command_line(browser: FlaskClient):
    answer = browser.get("/api/transcribe/webhooks/secret")
    assert answer.headers["Cache-Control"] == "no-store"
    printed = CliRunner().invoke(main, ["webhooks", "secret"])
    assert printed.output.strip() == answer.json["secret"] == webhooks.get_signing_secret(None)
    owner = uuid.uuid4()
    printed = CliRunner().invoke(main, ["webhooks", "secret", "--owner", str(owner)])
    assert (
        printed.output.strip()
        == webhooks.get_signing_secret(owner)
        != webhooks.get_signing_secret(None)
    )


def test_with_keys_everybody_sees_their_own(monkeypatch, receiver: Receiver):
    monkeypatch.setenv("AUTH", "on")
    settings.cache_clear()
    browser = create_app().test_client()
    (mine, headers), (_, others) = create_key(), create_key()
    secret = "/api/transcribe/webhooks/secret"
    told = browser.get(secret, headers=headers).json["secret"]
    assert told == webhooks.get_signing_secret(mine.owner_id)
    assert told != browser.get(secret, headers=others).json["secret"]
    job_id = ended(receiver.url, owner=mine.owner_id)
    send(job_id)
    assert verified(receiver, mine.owner_id)["data"]["job_id"] == job_id
    url = f"/api/transcribe/jobs/{job_id}/deliveries"
    assert browser.get(url, headers=headers).status_code == 200
    assert browser.get(url, headers=others).status_code == 404
    again = f"{url}/{only(job_id).id}/replay"
    assert browser.post(again, headers=others).status_code == 404
    assert browser.post(again, headers=headers).status_code == 202


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.2/", "http://10.0.0.1/", "ftp://8.8.8.8/", "x", "http://a:b@8.8.8.8/"),
        "https://8.8.8.8/" + "a" * 2000,
    ],
)
def test_a_callback_that_may_not_be_is_refused_at_once(browser: FlaskClient, url: str):
    answer = browser.post(
        SUBMIT_URL, data={"file": (build_recording(), "a.wav"), "callback_url": url}
    )
    assert answer.status_code == 422
    assert answer.json["field"] == "callback_url"


def test_a_job_keeps_whom_to_tell_and_tells_nobody_else(browser: FlaskClient, receiver: Receiver):
    url = f"{receiver.url}/hook?token=mine"
    answer = browser.post(
        SUBMIT_URL, data={"file": (build_recording(), "a.wav"), "callback_url": url}
    )
    assert answer.status_code == 202, answer.json
    job_id = answer.json["job_id"]
    shown = [
        answer.text,
        browser.get(f"/api/transcribe/jobs/status/{job_id}").text,
        browser.get("/api/transcribe/jobs").text,
    ]
    assert not any("mine" in text for text in shown)
    assert browser.post(f"/api/transcribe/jobs/{job_id}/cancel").status_code == 200
    send(job_id)
    assert json.loads(receiver.requests[0].body)["data"]["job_id"] == job_id
