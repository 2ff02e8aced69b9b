"""Webhooks and recordings at other addresses, with a real stack and real servers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx2
import pytest
from standardwebhooks import Webhook

from tests.factories.recordings import build_silence
from tests.integration.conftest import SAMPLE, RunningStack, started, wait_until
from tests.receiver import Receiver, listening, reply
from transcribe_api.client import Client

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]

BASE = "/api/transcribe/jobs"
SOUND = SAMPLE.read_bytes()
SILENCE = build_silence(seconds=1)
LIMIT = len(SOUND) + 100_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One that may reach a single address of the loopback."""
    settings = {"OUTGOING_ALLOW": "127.0.0.1/32", "MAX_FILE_SIZE": str(LIMIT)}
    with started(tmp_path_factory.mktemp("stack"), **settings) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as ours:
        yield ours


@pytest.fixture
def host() -> Iterator[Receiver]:
    with listening(lambda handler, _: reply(handler, body=SOUND)) as ours:
        yield ours


def submit(stack: RunningStack, **fields: str) -> httpx2.Response:
    return httpx2.post(f"{stack.url}{BASE}/transcribe", data=fields, timeout=60)


def accepted(stack: RunningStack, **fields: str) -> str:
    answer = submit(stack, **fields)
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


def ended(client: Client, job_id: str) -> dict:
    *_, last = client.events(job_id)
    return last.data


def deliveries(stack: RunningStack, job_id: str) -> list[dict]:
    return httpx2.get(f"{stack.url}{BASE}/{job_id}/deliveries").json()["deliveries"]


def delivered(stack: RunningStack, job_id: str) -> dict:
    """The one delivery of a job, once it has come."""
    wait_until(lambda: [one["state"] for one in deliveries(stack, job_id)] == ["delivered"])
    return deliveries(stack, job_id)[0]


def verified(stack: RunningStack, receiver: Receiver) -> dict:
    secret = httpx2.get(f"{stack.url}/api/transcribe/webhooks/secret").json()["secret"]
    last = receiver.requests[-1]
    return Webhook(secret).verify(last.body, last.headers)


def kept(stack: RunningStack, job_id: str) -> list[str]:
    """Everything of a job that lies in storage, and what anybody left in scratch."""
    folders = (stack.data_dir / "objects" / "jobs" / job_id, stack.data_dir / "scratch")
    return [path.name for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_one_webhook_comes_when_the_result_can_be_fetched(
    stack, client, receiver: Receiver, beginning
):
    found = []

    def fetch(handler, request):
        told = Webhook(secret).verify(request.body, request.headers)
        result = httpx2.get(stack.url + told["data"]["result_url"])
        found.append((told, result.status_code, len(result.json()["segments"])))
        reply(handler)

    secret = httpx2.get(f"{stack.url}/api/transcribe/webhooks/secret").json()["secret"]
    receiver.answer = fetch
    job_id = client.submit(beginning, callback_url=f"{receiver.url}/hook")["job_id"]
    assert ended(client, job_id)["status"] == "completed"
    delivery = delivered(stack, job_id)
    ((told, status, segments),) = found
    assert (told["type"], told["data"]["job_id"]) == ("job.completed", job_id)
    assert (status, segments) == (200, told["data"]["result"]["segments_count"])
    assert delivery["id"] == receiver.requests[0].headers["webhook-id"]


def test_a_receiver_that_was_down_is_told_later(stack, client, receiver: Receiver, tmp_path):
    receiver.answer = lambda handler, _: reply(handler, 503)
    job_id = accepted_silence(client, receiver, tmp_path)
    wait_until(lambda: [one["last_status"] for one in deliveries(stack, job_id)] == [503])
    receiver.answer = lambda handler, _: reply(handler)
    assert delivered(stack, job_id)["attempts"] == 2
    assert verified(stack, receiver)["data"]["job_id"] == job_id


def test_a_replay_sends_again(stack, client, receiver: Receiver, tmp_path):
    job_id = accepted_silence(client, receiver, tmp_path)
    delivery = delivered(stack, job_id)
    before = len(receiver.requests)
    url = f"{stack.url}{BASE}/{job_id}/deliveries/{delivery['id']}/replay"
    assert httpx2.post(url).status_code == 202
    wait_until(lambda: len(receiver.requests) == before + 1)
    first, again = receiver.requests[-2:]
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body


def accepted_silence(client: Client, receiver: Receiver, folder) -> str:
    path = folder / "silence.wav"
    path.write_bytes(SILENCE)
    return client.submit(path, callback_url=receiver.url)["job_id"]


def test_failed_and_cancelled_jobs_are_told_too(stack, client, host: Receiver, receiver: Receiver):
    host.answer = lambda handler, _: reply(handler, body=b"no sound" * 99)
    job_id = accepted(stack, source_url=host.url, callback_url=receiver.url)
    delivered(stack, job_id)
    told = verified(stack, receiver)
    assert (told["type"], told["data"]["error"]["code"]) == ("job.failed", "media_unreadable")

    job_id = client.submit(SAMPLE, engine="asr", diarizer="none", callback_url=receiver.url)[
        "job_id"
    ]
    assert httpx2.post(f"{stack.url}{BASE}/{job_id}/cancel").status_code == 200
    delivered(stack, job_id)
    assert verified(stack, receiver)["type"] == "job.cancelled"


def test_a_recording_at_an_address_is_transcribed(stack: RunningStack, client, host: Receiver):
    job_id = accepted(stack, source_url=f"{host.url}/call.flac?token=secret")
    assert ended(client, job_id)["status"] == "completed"
    result = client.result(job_id)
    assert result["filename"] == "call.flac"
    assert {one["speaker_tag"] for one in result["segments"]} == {0, 1}
    logs = "".join(path.read_text() for path in (stack.data_dir / "logs").iterdir())
    assert "token=secret" not in logs


def test_a_redirect_to_a_private_address_is_refused_and_nobody_is_asked(stack, host: Receiver):
    with listening(address="127.0.0.2") as private:
        host.answer = lambda handler, _: reply(handler, 302, Location=f"{private.url}/secret")
        answer = submit(stack, source_url=host.url)
        assert (answer.status_code, answer.json()["field"]) == (422, "source_url")
        assert submit(stack, source_url=private.url).status_code == 422
        assert submit(stack, callback_url=private.url, source_url=host.url).status_code == 422
        assert private.connections == 0


def test_what_is_not_there_or_declared_too_large_is_refused(stack, host: Receiver):
    host.answer = lambda handler, _: reply(handler, 404)
    answer = submit(stack, source_url=host.url)
    assert (answer.status_code, answer.json()["code"]) == (422, "source_unavailable")
    host.answer = lambda handler, _: reply(handler, Content_Length=str(LIMIT + 1))
    answer = submit(stack, source_url=host.url)
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


def test_what_turns_out_too_large_leaves_nothing(stack: RunningStack, client, host: Receiver):
    def endless(handler, _):
        handler.send_response(200)
        handler.end_headers()
        while True:  # until who asked has gone
            handler.wfile.write(b"x" * 65_536)

    host.answer = endless
    job_id = accepted(stack, source_url=host.url)
    assert ended(client, job_id)["error"]["code"] == "file_too_large"
    assert kept(stack, job_id) == []


def test_a_connection_that_is_cut_is_tried_again(stack: RunningStack, client, host: Receiver):
    def cut_once(handler, _):
        # The first is the submission, which only looks; the second is the worker's.
        if len(host.requests) != 2:
            reply(handler, body=SILENCE)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(SILENCE)))
        handler.end_headers()
        handler.wfile.write(SILENCE[:10_000])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)

    host.answer = cut_once
    job_id = accepted(stack, source_url=host.url)
    assert ended(client, job_id)["status"] == "completed"
    assert len(host.requests) == 3


def test_a_recording_in_the_storage_is_transcribed_and_stays(stack: RunningStack, client):
    folder = stack.data_dir / "objects" / "incoming" / "monday"
    folder.mkdir(parents=True)
    (folder / "call.wav").write_bytes(SILENCE)
    job_id = accepted(stack, source_key="incoming/monday/call.wav")
    assert ended(client, job_id)["status"] == "completed"
    assert client.result(job_id)["filename"] == "call.wav"
    assert (folder / "call.wav").exists()
    for key in ("incoming/monday/none.wav", f"jobs/{job_id}/source", "incoming/../jobs/x"):
        answer = submit(stack, source_key=key)
        assert (answer.status_code, answer.json()["field"]) == (422, "source_key")
