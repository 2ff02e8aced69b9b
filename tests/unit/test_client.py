"""The client needs nothing of the service but HTTP, and both of its forms ask the same."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests import receiver
from tests.receiver import Receiver, Request
from transcribe_api.client import AsyncClient, Client, ServiceError, Unreachable, calls

ID = "7d3e5a62-5a58-4a0e-8a3e-0d6a7f0c5d11"

#: What is called, what is then asked, and what the service answers with.
ASKED: list[tuple[str, tuple[Any, ...], dict[str, Any], str, Any]] = [
    ("ping", (), {}, "GET /healthz", {}),
    ("status", (ID,), {}, f"GET /api/transcribe/jobs/status/{ID}", {"status": "queued"}),
    ("jobs", (), {"status": "failed", "limit": 5}, "GET /api/transcribe/jobs?status=failed&limit=5",
     {"jobs": [], "next_cursor": None}),
    ("cancel", (ID,), {}, f"POST /api/transcribe/jobs/{ID}/cancel", {"status": "cancelled"}),
    ("retry", (ID,), {}, f"POST /api/transcribe/jobs/{ID}/retry", {"status": "queued"}),
    ("retry", (ID, "diarize"), {"max_speakers": 2},
     f"POST /api/transcribe/jobs/{ID}/retry?stage=diarize&max_speakers=2", {"status": "queued"}),
    ("delete", (ID,), {}, f"DELETE /api/transcribe/jobs/{ID}", None),
    ("result", (ID,), {}, f"GET /api/transcribe/jobs/result/{ID}", {"segments": []}),
    ("formatted", (ID, "srt"), {"max_lines": 1, "speaker_labels": False},
     f"GET /api/transcribe/jobs/result/{ID}/srt?max_lines=1&speaker_labels=false", "1\n"),
    ("document", (ID, "docx"), {}, f"GET /api/transcribe/jobs/result/{ID}/docx", b"PK"),
    ("artefacts", (ID,), {}, f"GET /api/transcribe/jobs/artefacts/{ID}", {"artefacts": ["a.srt"]}),
    ("engines", (), {}, "GET /api/transcribe/jobs/engines", {"engines": {}}),
    ("system_status", (), {}, "GET /api/transcribe/system/status", {"active_jobs": 0}),
    ("name_speakers", (ID, {0: "Ann"}), {},
     f'PATCH /api/transcribe/transcripts/{ID}/speakers {{"names":{{"0":"Ann"}}}}', {"names": {}}),
    ("change_segment", (ID, 3), {"text": "Hi.", "speaker_tag": None},
     f'PATCH /api/transcribe/transcripts/{ID}/segments/3 {{"text":"Hi.","speaker_tag":null}}', {}),
    ("create_context", ("Medicines", [{"phrase": "metformin", "boost": 20.0}]), {},
     "POST /api/transcribe/contexts "
     '{"name":"Medicines","terms":[{"phrase":"metformin","boost":20.0}]}', {"context_id": ID}),
    ("contexts", (), {"cursor": "a"}, "GET /api/transcribe/contexts?cursor=a", {"contexts": []}),
    ("delete_context", (ID,), {}, f"DELETE /api/transcribe/contexts/{ID}", None),
    ("create_session", ("Monday",), {}, 'POST /api/transcribe/sessions {"name":"Monday"}', {}),
    ("sessions", (), {}, "GET /api/transcribe/sessions", {"sessions": []}),
]  # fmt: skip
CASES = pytest.mark.parametrize(
    ("name", "args", "named", "asked", "answer"), ASKED, ids=[one[0] for one in ASKED]
)


def _body(answer: Any) -> bytes:
    if answer is None:
        return b""
    if isinstance(answer, bytes):
        return answer
    return answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()


def _answering(answer: Any) -> receiver.Answer:
    def answer_it(handler: BaseHTTPRequestHandler, _: Request) -> None:
        receiver.reply(handler, 204 if answer is None else 200, _body(answer))

    return answer_it


def _asked(server: Receiver) -> str:
    [one] = server.requests
    return f"{one.method} {one.path} {one.body.decode()}".strip()


def _read(name: str, answer: Any) -> Any:
    if name == "ping":
        return None
    return answer["artefacts"] if name == "artefacts" else answer


@CASES
def test_what_is_asked_and_what_it_gives(name, args, named, asked, answer):
    with receiver.listening(_answering(answer)) as server, Client(server.url, key="k") as client:
        assert getattr(client, name)(*args, **named) == _read(name, answer)
        assert _asked(server) == asked
        assert server.requests[0].headers["Authorization"] == "Bearer k"


@CASES
def test_the_same_when_it_is_awaited(name, args, named, asked, answer):
    async def ask(url: str) -> Any:
        async with AsyncClient(url, key="k") as client:
            return await getattr(client, name)(*args, **named)

    with receiver.listening(_answering(answer)) as server:
        assert asyncio.run(ask(server.url)) == _read(name, answer)
        assert _asked(server) == asked


def test_every_call_is_looked_at_here():
    known = {name for name in vars(Client) if not name.startswith("_") and hasattr(calls, name)}
    assert known - {"submit"} == {one[0] for one in ASKED}


def test_both_have_the_same_methods():
    def methods(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert methods(Client) == methods(AsyncClient)
    for name in methods(Client) - {"events"}:
        plain, awaited = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
        assert str(plain) == str(awaited), name
    assert all(getattr(Client, name).__doc__ for name in methods(Client))
    assert inspect.iscoroutinefunction(AsyncClient.ask)


def test_a_recording_is_sent_by_both(tmp_path: Path):
    recording = tmp_path / "talk.wav"
    recording.write_bytes(b"sound")

    async def send(url: str) -> Any:
        async with AsyncClient(url) as client:
            return await client.submit(recording, enable_diarization=False, idempotency_key="once")

    with receiver.listening(_answering({"job_id": ID})) as server:
        with Client(server.url) as client:
            sent = client.submit(
                str(recording), enable_diarization=False, idempotency_key="once", model=None
            )
        assert sent == asyncio.run(send(server.url)) == {"job_id": ID}
        for one in server.requests:
            assert one.headers["Idempotency-Key"] == "once"
            assert b'name="enable_diarization"\r\n\r\nfalse' in one.body
            assert b'name="file"; filename="talk.wav"' in one.body
            assert b"sound" in one.body
            assert b"model" not in one.body


def test_a_refusal_is_an_error_with_its_code():
    def refuse(handler: BaseHTTPRequestHandler, _: Request) -> None:
        body = json.dumps({"code": "not_found", "detail": "there is no such job"}).encode()
        receiver.reply(handler, 404, body)

    async def ask(url: str) -> None:
        async with AsyncClient(url) as client:
            await client.status(ID)

    async def follow(url: str) -> None:
        async with AsyncClient(url) as client:
            async for _ in client.events(ID):
                pass

    with receiver.listening(refuse) as server, Client(server.url) as client:
        for attempt in (
            lambda: client.status(ID),
            lambda: list(client.events(ID)),
            lambda: client.download(ID, "a.srt", Path("never")),
            lambda: asyncio.run(ask(server.url)),
            lambda: asyncio.run(follow(server.url)),
        ):
            with pytest.raises(ServiceError, match="no such job") as told:
                attempt()
            assert (told.value.status, told.value.code) == (404, "not_found")


def test_nobody_there_is_another_error():
    async def ask() -> None:
        async with AsyncClient("http://127.0.0.1:9") as client:
            await client.ping()

    with pytest.raises(Unreachable), Client("http://127.0.0.1:9") as client:
        client.ping()
    with pytest.raises(Unreachable):
        asyncio.run(ask())


def test_a_stream_is_followed_by_both():
    stream = (
        b'data: {"status": "processing"}\n\n'
        b'event: segment\nid: told:0\ndata: {"text": "hello"}\n\n'
        b'data: {"status": "completed"}\n\n'
        b'data: {"status": "of somebody who does not stop"}\n\n'
    )

    def tell(handler: BaseHTTPRequestHandler, _: Request) -> None:
        receiver.reply(handler, 200, stream, Content_Type="text/event-stream")

    async def follow(url: str) -> list[Any]:
        async with AsyncClient(url) as client:
            return [event async for event in client.events(ID, after="told:")]

    with receiver.listening(tell) as server, Client(server.url) as client:
        heard = list(client.events(ID, after="told:"))
        assert heard == asyncio.run(follow(server.url))
        assert [request.headers["Last-Event-ID"] for request in server.requests] == ["told:"] * 2
    assert [(event.name, event.id) for event in heard] == [
        ("status", "told:"), ("segment", "told:0"), ("status", "told:0"),
    ]  # fmt: skip
    assert heard[-1].is_last


def test_files_are_downloaded_by_both(tmp_path: Path):
    async def download(url: str, target: Path) -> None:
        async with AsyncClient(url) as client:
            await client.download(ID, "chunks/chunk_0000.wav", target)

    with receiver.listening(_answering(b"x" * 200_000)) as server:
        with Client(server.url) as client:
            client.download(ID, "chunks/chunk_0000.wav", tmp_path / "one")
        asyncio.run(download(server.url, tmp_path / "other"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes() == b"x" * 200_000


def test_nothing_of_the_service_is_imported_with_it():
    """Where only the client and its HTTP are, it works."""
    program = """
import sys

OURS = {"tasks", "core", "engines", "chunking", "transcripts"}
THEIRS = {"flask", "celery", "kombu", "redis", "sqlalchemy", "pydantic", "boto3", "numpy", "click"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OURS | THEIRS:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Refuse())
from transcribe_api.client import AsyncClient, Client
Client("http://127.0.0.1:9").close()
print(sorted(name for name in sys.modules if name.startswith("transcribe_api")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in eval(done.stdout):
        assert name in ("transcribe_api", "transcribe_api.client") or name.startswith(
            "transcribe_api.client."
        )
