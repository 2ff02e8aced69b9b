"""The language of a recording is found once, whoever asks first, and holds for every chunk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.db.transactions import read_session, transaction
from core.errors import InvalidInput
from core.jobs import languages, lifecycle
from core.jobs.parts import PartId
from core.jobs.records import PartRecord
from core.states import PartKind, PartState
from core.storage import layout, storage
from engines.base import Hints
from engines.whisper_model import language_names
from tasks import pipeline
from tasks.celery import app
from tasks.steps import loaded_engines
from tests.factories.jobs import accept_job, begin_preparation, finish_preparation
from tests.unit.sounds import piece
from transcribe_api.http.requests import parsing
from transcripts.types import ChannelInterval, Note, Transcription, Word
from transcripts.warning import TranscriptWarning, WarningCode

WHISPER = sorted({*language_names._CODES.values()})

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    "tag", ["en", "pt-BR", "EN_us", "zh", "nb", "iw", "jw", "haw", "yue", "cmn-Hans-CN", *WHISPER]
)
def test_what_people_speak_is_a_language(tag: str):
    assert languages.is_language(tag)
    assert parsing.parse_job({"language": tag.replace("_", "-")}, "whisperx").language


@pytest.mark.parametrize("tag", ["xx", "xx-US", "zz", "und", "mul", "zxx", "qaa", "qtz", "e", ""])
def test_what_nobody_speaks_is_none(tag: str):
    assert not languages.is_language(tag)


@pytest.mark.parametrize("engine", ["whisperx", "sphinx"])
def test_a_job_in_no_language_is_refused_when_it_is_sent(engine: str):
    with pytest.raises(InvalidInput, match="'xx' is not a language tag such as en-US") as caught:
        parsing.parse_job({"language": "xx"}, engine)
    assert caught.value.field == "language"


class Polyglot:
    """An engine that finds languages, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[bytes]] = []
        self.heard_in: list[str | None] = []

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        self.asked.append([path.read_bytes() for path in audio])
        return "pt"

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        self.heard_in.append(hints.language)
        note = Note(1.0, 2.0, "words are doubtful", WarningCode.WORDS_DOUBTFUL)
        return Transcription((Word("olá", 0.5, 1.0, 0.9),), hints.language or "de", (note,))


class Deaf:
    """An engine that cannot tell languages apart."""

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        return Transcription((), hints.language)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Polyglot:
    ours = Polyglot()
    use(monkeypatch, ours)
    return ours


def use(monkeypatch: pytest.MonkeyPatch, engine: object) -> None:
    app.loader.import_default_modules()
    monkeypatch.setattr(loaded_engines, "load_recognizer", lambda *_: engine)
    for name in ("fan_out", "send_merge", "send_delivery"):
        monkeypatch.setattr(pipeline, name, lambda *_: None)


def listening(chunks: int, language: str | None = None) -> str:
    job_id = accept_job(engine="whisperx", diarizer=None, language=language)
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=chunks, shards=0)
    for position in range(chunks):
        storage().put_bytes(layout.chunk_audio(job_id, position), piece(position))
    return job_id


def run(step: str, *args: object) -> None:
    app.tasks[step].apply(args=args, throw=True)


def language_of(job_id: str) -> str | None:
    with read_session() as session:
        return lifecycle.get_job(session, job_id).transcript.language


def test_it_is_found_by_the_first_chunk_that_is_heard_and_holds_for_all(engine: Polyglot):
    job_id = listening(chunks=3)
    for position in (2, 0, 1):
        run("transcribe_chunk", job_id, position)
    assert engine.asked == [[piece(0), piece(1), piece(2)]]
    assert engine.heard_in == ["pt", "pt", "pt"]
    assert language_of(job_id) == "pt"


def test_places_lie_all_over_the_recording(engine: Polyglot):
    job_id = listening(chunks=50)
    run("transcribe_chunk", job_id, 49)
    assert engine.asked == [[piece(0), piece(10), piece(20), piece(30), piece(40)]]


def test_a_language_that_was_asked_for_is_not_looked_for(engine: Polyglot):
    run("transcribe_chunk", job_id := listening(chunks=2, language="fr"), 0)
    assert (engine.asked, engine.heard_in, language_of(job_id)) == ([], ["fr"], "fr")


def test_who_comes_second_takes_what_was_settled(engine: Polyglot):
    """Two chunks that began at the same time find two languages: both use the first."""
    job_id = listening(chunks=2)
    for language in ("gl", "pt"):
        with transaction() as session:
            assert languages.set_language(session, job_id, language) == "gl"
    run("transcribe_chunk", job_id, 1)
    assert (engine.asked, engine.heard_in) == ([], ["gl"])


def test_an_engine_that_cannot_tell_is_left_to_itself(monkeypatch: pytest.MonkeyPatch):
    use(monkeypatch, Deaf())
    run("transcribe_chunk", job_id := listening(chunks=1), 0)
    assert language_of(job_id) is None


@pytest.mark.parametrize(
    ("lengths", "chosen"),
    [
        ([], []),
        ([30], [0]),
        ([3, 30, 2], [0, 1, 2]),
        ([5, 30, 9, 30, 30, 2, 1, 30, 4, 4], [1, 3, 4, 7, 8]),
    ],
)
def test_the_longest_chunk_of_each_part_is_chosen(lengths: list[float], chosen: list[int]):
    chunks = [
        PartRecord(
            id=PartId("job", PartKind.CHUNK, at),
            interval=ChannelInterval(100.0 * at, 100.0 * at + length),
            state=PartState.WAITING,
            sha256=None,
            error=None,
        )
        for at, length in enumerate(lengths)
    ]
    assert [chunk.position for chunk in languages.choose_chunks(chunks)] == chosen


def test_notes_are_stored_in_times_of_the_recording_and_become_warnings(engine: Polyglot):
    job_id = listening(chunks=2)
    for position in range(2):
        run("transcribe_chunk", job_id, position)
    written = json.loads(storage().get_bytes(layout.chunk_transcription(job_id, 1)))
    assert written["notes"] == [
        {"start": 31.0, "end": 32.0, "text": "words are doubtful", "code": "words_doubtful"}
    ]
    run("merge", job_id)
    with read_session() as session:
        assert lifecycle.get_job(session, job_id).transcript.warnings == [
            TranscriptWarning(WarningCode.WORDS_DOUBTFUL, "words are doubtful", at, at + 1)
            for at in (1.0, 31.0)
        ]
