"""WhisperX behind the audio API of OpenAI: a real HTTP server plays the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from core.errors import EngineError, SettingsError, Transient, Unavailable
from core.settings import settings
from engines import catalog
from engines.base import Hints, LanguageDetector
from engines.remote import RemoteWhisperX, offer
from tests.receiver import Receiver, Request, listening, reply
from tests.unit.media import babble, write_wav
from transcripts.types import Word

Give = Callable[[object], None]

SEGMENT = {
    "start": 0.5,
    "end": 2.5,
    "text": " Good morning,",
    "avg_logprob": -0.2,
    "no_speech_prob": 0.01,
}
SECOND = {"start": 2.5, "end": 3.9, "text": "Ana.", "avg_logprob": -0.2, "no_speech_prob": 0.01}
WORDS = [
    {"word": " Good", "start": 0.5, "end": 1.0, "probability": 0.9},
    {"word": "morning", "start": 1.2, "end": 2.4, "probability": 0.8},
    {"word": "Ana", "start": 2.6, "end": 3.0, "probability": 0.7},
]
TOLD = {
    "task": "transcribe", "language": "english", "duration": 4.0, "text": "Good morning, Ana.",
    "segments": [SEGMENT, SECOND], "words": WORDS,
}  # fmt: skip
INVENTED = {
    "start": 0.0,
    "end": 4.0,
    "text": "Thank you for watching.",
    "avg_logprob": -1.4,
    "no_speech_prob": 0.9,
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with listening() as receiver:
        monkeypatch.setenv("WHISPERX_SERVICE_URL", receiver.url)
        yield receiver


@pytest.fixture
def answers(service: Receiver) -> Give:
    """Have the service answer with this value."""

    def give(told: object, status: int = 200, **headers: str) -> None:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        service.answer = lambda handler, _: reply(handler, status, body, **headers)

    give(TOLD)
    return give


@pytest.fixture
def chunk(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "chunk_0000.wav", babble(4))


def fields(request: Request) -> dict[str, list[bytes]]:
    """The parts of a form, by name."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    found: dict[str, list[bytes]] = {}
    for part in message_from_bytes(head + request.body).get_payload():
        name = part.get_param("name", header="content-disposition")
        found.setdefault(name, []).append(part.get_payload(decode=True))
    return found


def test_a_chunk_is_sent_and_its_words_come_back(service: Receiver, answers: Give, chunk: Path):
    hints = Hints("pt-BR", "large-v3", {"metformin": 5.0, "never": -3.0, "insulin": 20.0})
    heard = RemoteWhisperX().transcribe(chunk, hints)
    assert heard.words == (
        Word("Good", 0.5, 1.0, 0.9),
        Word("morning,", 1.2, 2.4, 0.8),
        Word("Ana.", 2.6, 3.0, 0.7),
    )
    assert (heard.language, heard.notes) == ("pt-BR", ())
    (request,) = service.requests
    assert (request.method, request.path) == ("POST", "/v1/audio/transcriptions")
    assert "Authorization" not in request.headers
    sent = fields(request)
    assert sent.pop("file") == [chunk.read_bytes()]
    assert {name: [value.decode() for value in values] for name, values in sent.items()} == {
        "model": ["large-v3"], "response_format": ["verbose_json"], "language": ["pt"],
        "timestamp_granularities[]": ["word", "segment"], "temperature": ["0.0"],
        "prompt": ["insulin, metformin"], "hotwords": ["insulin, metformin"],
    }  # fmt: skip


def test_what_nobody_asked_for_is_not_sent(service: Receiver, answers: Give, chunk: Path):
    heard = RemoteWhisperX().transcribe(chunk, Hints())
    assert heard.language == "en", "as the service found"
    sent = fields(service.requests[0])
    assert sent.keys().isdisjoint({"language", "prompt", "hotwords"})
    assert sent["model"] == [settings().whisperx_default_model.encode()]


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_in_the_path_of_the_interface(
    service: Receiver, answers: Give, chunk: Path, monkeypatch, end: str
):
    monkeypatch.setenv("WHISPERX_SERVICE_URL", f"{service.url}/speech{end}")
    RemoteWhisperX().transcribe(chunk, Hints())
    assert service.requests[0].path == "/speech/v1/audio/transcriptions"


def test_a_key_is_sent_and_never_told(
    service: Receiver, answers: Give, chunk: Path, monkeypatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("WHISPERX_SERVICE_KEY", "very-secret")
    caplog.set_level("DEBUG")
    RemoteWhisperX().transcribe(chunk, Hints())
    answers({"error": {"message": "no"}}, 401)
    with pytest.raises(EngineError, match="WHISPERX_SERVICE_KEY") as refused:
        RemoteWhisperX().transcribe(chunk, Hints())
    assert service.requests[0].headers["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in f"{caplog.text}{refused.value}{settings()!r}"


@pytest.mark.parametrize(
    "told",
    [
        {
            **TOLD,
            "words": None,
            "segments": [{**SEGMENT, "words": WORDS[:2]}, {**SECOND, "words": WORDS[2:]}],
        },
        {**TOLD, "segments": [{**SEGMENT, "end": 4.0, "text": "Good morning, Ana."}]},
        {**TOLD, "segments": None},
    ],
)  # fmt: skip
def test_words_stand_where_the_service_likes(answers: Give, chunk: Path, told: dict):
    answers(told)
    words = RemoteWhisperX().transcribe(chunk, Hints()).words
    assert [(word.text, word.start) for word in words] == [
        ("Good", 0.5), ("morning,", 1.2), ("Ana.", 2.6),
    ]  # fmt: skip


def test_words_without_times_share_the_time_of_their_segment(answers: Give, chunk: Path):
    answers({**TOLD, "words": None})
    good, morning, ana = RemoteWhisperX().transcribe(chunk, Hints()).words
    # By their length: four letters and eight signs share two seconds.
    assert (good.text, good.start, good.end) == ("Good", 0.5, pytest.approx(0.5 + 2 * 4 / 12))
    assert (morning.text, morning.start, morning.end) == ("morning,", good.end, 2.5)
    assert ana == Word("Ana.", 2.5, 3.9)


def test_where_there_are_no_segments_words_share_the_time_of_the_chunk(answers: Give, chunk: Path):
    answers({"text": "one two"})
    heard = RemoteWhisperX().transcribe(chunk, Hints())
    assert heard.words == (Word("one", 0.0, 2.0), Word("two", 2.0, 4.0))
    assert heard.language is None


def test_no_time_is_outside_the_chunk(answers: Give, chunk: Path):
    wild = [{"word": "early", "start": -2, "end": -1}, {"word": "late", "start": 9, "end": 8}]
    answers({"text": "early late", "words": wild})
    for word in RemoteWhisperX().transcribe(chunk, Hints()).words:
        assert 0 <= word.start <= word.end <= 4


def test_silence_has_no_words(answers: Give, chunk: Path):
    answers({"text": "", "segments": [], "words": []})
    assert RemoteWhisperX().transcribe(chunk, Hints("en")).words == ()


def test_what_the_model_seems_to_invent_is_left_out(answers: Give, chunk: Path):
    answers({"text": "Thank you for watching.", "segments": [INVENTED]})
    heard = RemoteWhisperX().transcribe(chunk, Hints())
    assert heard.words == ()
    assert "Thank you for watching." in heard.notes[0].text


def test_what_is_only_doubtful_is_kept_with_a_note(answers: Give, chunk: Path):
    answers({**TOLD, "segments": [{**SEGMENT, "avg_logprob": -1.5}, SECOND]})
    heard = RemoteWhisperX().transcribe(chunk, Hints())
    assert len(heard.words) == 3
    assert [(note.start, note.text) for note in heard.notes] == [
        (0.5, "words are doubtful: the model is very unsure")
    ]


IN_A_DAY = format_datetime(datetime.now(UTC) + timedelta(days=1))
LONG_AGO = format_datetime(datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "told", "wait"),
    [
        (429, {}, {"Retry_After": "40"}, Unavailable, "is overloaded", (40, 40)),
        (429, {}, {}, Unavailable, "is overloaded", (2, 2)),
        (503, {}, {"Retry_After": IN_A_DAY}, Unavailable, "is not available", (80_000, 86_400)),
        (503, {}, {"Retry_After": LONG_AGO}, Unavailable, "is not available", (0, 0)),
        (503, {}, {"Retry_After": "soon"}, Unavailable, "is not available", (2, 2)),
        (502, b"<html>", {}, Unavailable, "is not available", (2, 2)),
        (504, b"", {}, Unavailable, "is not available", (2, 2)),
        (500, {}, {}, Transient, "failed (500)", (2, 2)),
        (408, {}, {}, Transient, "failed (408)", (2, 2)),
        (401, {}, {}, EngineError, "WHISPERX_SERVICE_KEY", None),
        (403, {}, {}, EngineError, "WHISPERX_SERVICE_KEY", None),
        (404, {"detail": "no model 'x'"}, {}, EngineError, "no model 'x'", None),
        (404, {}, {}, EngineError, "WHISPERX_SERVICE_URL", None),
        (404, {}, {}, EngineError, "WHISPERX_DEFAULT_MODEL", None),
        (413, {}, {}, EngineError, "CHUNK_DURATION", None),
        (400, {"error": {"message": "bad  sound"}}, {}, EngineError, "(400): bad sound", None),
        (422, {"detail": [{"msg": "odd"}]}, {}, EngineError, "refused the request (422)", None),
        (400, b"\xff" * 5000, {}, EngineError, "refused the request (400)", None),
        (301, {}, {"Location": "http://127.0.0.1:9/"}, EngineError, "redirection", None),
        (200, b"<html>", {}, EngineError, "WHISPERX_SERVICE_URL", None),
        (200, [], {}, EngineError, "WHISPERX_SERVICE_URL", None),
        (200, {"words": []}, {}, EngineError, "verbose_json", None),
        (200, {"text": "a", "segments": [{"text": "a"}]}, {}, EngineError, "verbose_json", None),
        (200, {"text": "a", "segments": "a"}, {}, EngineError, "verbose_json", None),
    ],
)  # fmt: skip
def test_every_ending_of_a_call_says_what_to_do(
    answers: Give, chunk: Path, status, body, headers, kind, told, wait
):
    answers(body, status, **headers)
    with pytest.raises((Transient, EngineError)) as caught:
        RemoteWhisperX().transcribe(chunk, Hints(model="x"))
    assert type(caught.value) is kind
    assert told in str(caught.value)
    assert len(str(caught.value)) < 500
    if wait:
        assert wait[0] <= caught.value.retry_in <= wait[1]


def test_a_service_that_is_not_there_is_waited_for(monkeypatch, chunk: Path):
    with listening() as gone:
        monkeypatch.setenv("WHISPERX_SERVICE_URL", gone.url)
    with pytest.raises(Unavailable, match="WHISPERX_SERVICE_URL"):
        RemoteWhisperX().transcribe(chunk, Hints())


def test_a_service_that_hangs_up_is_waited_for(service: Receiver, chunk: Path):
    service.answer = lambda handler, _: handler.connection.close()
    with pytest.raises(Unavailable, match="WHISPERX_SERVICE_URL"):
        RemoteWhisperX().transcribe(chunk, Hints())


def test_a_service_that_is_too_slow_is_tried_again(service: Receiver, chunk: Path, monkeypatch):
    over = threading.Event()

    def hang(_handler: BaseHTTPRequestHandler, _request: Request) -> None:
        over.wait(60)

    service.answer = hang
    monkeypatch.setenv("WHISPERX_TIMEOUT", "1")
    try:
        with pytest.raises(Transient, match="WHISPERX_TIMEOUT") as caught:
            RemoteWhisperX().transcribe(chunk, Hints())
    finally:
        over.set()
    assert type(caught.value) is Transient, "each try counts"


def test_a_service_that_speaks_no_tls_is_not_waited_for(
    service: Receiver, chunk: Path, monkeypatch
):
    monkeypatch.setenv("WHISPERX_SERVICE_URL", service.url.replace("http", "https"))
    with pytest.raises(EngineError, match="WHISPERX_SERVICE_URL or a certificate is wrong"):
        RemoteWhisperX().transcribe(chunk, Hints())


class TestLanguage:
    def languages(self, service: Receiver, *told: str | None) -> None:
        left = iter(told)
        service.answer = lambda handler, _: reply(
            handler, body=json.dumps({"text": "a", "language": next(left)}).encode()
        )

    def test_it_is_what_most_of_the_places_are_in(self, service: Receiver, tmp_path: Path):
        chunks = [write_wav(tmp_path / f"chunk_{at}.wav", babble(40)) for at in range(3)]
        self.languages(service, "french", "pt", "Portuguese")
        engine = RemoteWhisperX()
        assert isinstance(engine, LanguageDetector)
        assert engine.detect_language(chunks, Hints()) == "pt"
        sent = [fields(request)["file"][0] for request in service.requests]
        assert all(len(sound) < 31 * 32_000 for sound in sent), "half a minute tells"

    def test_a_service_that_does_not_tell_is_no_help(self, service: Receiver, chunk: Path):
        self.languages(service, None)
        with pytest.raises(EngineError, match="set it in the job"):
            RemoteWhisperX().detect_language([chunk], Hints())


class TestOffer:
    def test_it_is_what_the_service_lists(self, service: Receiver, answers: Give):
        answers({"object": "list", "data": [{"id": "large-v3"}, {"id": "base"}]})
        assert offer().models == ("base", "large-v3")
        assert offer().languages is None
        assert service.requests[0].path == "/v1/models"

    @pytest.mark.parametrize("health", [200, 500])
    def test_a_service_without_a_list_is_there_when_it_is_well(
        self, service: Receiver, health: int
    ):
        service.answer = lambda handler, request: reply(
            handler, health if request.path == "/health" else 404
        )
        if health == 200:
            assert offer().models == ("base",)
        else:
            with pytest.raises(Transient):
                offer()

    @pytest.mark.parametrize(
        ("status", "told"), [(401, "WHISPERX_SERVICE_KEY"), (503, "not available")]
    )
    def test_one_that_cannot_work_has_none(self, answers: Give, status: int, told: str):
        answers({}, status)
        with pytest.raises((EngineError, Unavailable), match=told):
            offer()


class TestCatalog:
    def test_without_an_address_the_model_is_loaded_here(self):
        assert catalog.recognizer("whisperx") is catalog.WHISPERX

    def test_with_an_address_nothing_of_it_is_needed(self, service: Receiver):
        spec = catalog.recognizer("whisperx")
        assert spec is catalog.recognizers()["whisperx"]
        assert spec.is_installed(), "no torch is"
        assert (spec.queue, spec.offer) == ("asr.whisperx", "engines.remote:offer")
        assert catalog.list_models(spec) == settings().whisperx_available_models
        assert isinstance(catalog.load_recognizer(spec), RemoteWhisperX)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WHISPERX_SERVICE_URL", "whisperx:9000"),
        ("WHISPERX_SERVICE_URL", "http://"),
        ("WHISPERX_SERVICE_URL", "http://user:secret@whisperx"),
        ("WHISPERX_SERVICE_URL", "http://whisperx?key=secret"),
        ("WHISPERX_SERVICE_KEY", "secret\nkey"),
    ],
)
def test_what_is_no_address_or_key_is_refused_without_being_told(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(SettingsError, match=name) as caught:
        settings()
    assert "secret" not in str(caught.value)
