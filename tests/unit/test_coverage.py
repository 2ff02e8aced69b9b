"""Speech without words is found, heard once more where that helps, and else told of."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import EngineError
from core.jobs.parts import PartId
from core.states import PartKind
from core.storage import layout, storage
from tasks.steps import coverage_retry
from tests.unit.media import babble, write_wav
from transcripts.coverage import (
    MIN_GAP_SECONDS,
    build_notes,
    fill_gap,
    find_unexplained_gaps,
    may_have_gaps,
    measure_coverage,
    to_json,
)
from transcripts.types import ChannelInterval, Interval, Note, Transcription, Word
from transcripts.warning import WarningCode


def words(*starts: float, length: float = 0.5) -> tuple[Word, ...]:
    return tuple(Word(f"at {start:g}", start, start + length) for start in starts)


@pytest.mark.parametrize(
    ("heard", "speech", "found"),
    [
        pytest.param(words(0, 4), [Interval(0, 4.5)], [Interval(0.5, 4)], id="between two words"),
        pytest.param(words(5), [Interval(1, 6)], [Interval(1, 5)], id="before the first"),
        pytest.param(words(0), [Interval(0, 6)], [Interval(0.5, 6)], id="after the last"),
        pytest.param((), [Interval(2, 6)], [Interval(2, 6)], id="nothing was heard"),
        pytest.param(words(0, 3.4), [Interval(0, 4)], [], id="too short"),
        pytest.param((), [], [], id="nobody speaks"),
        pytest.param(words(0, 20), [Interval(0, 1), Interval(19, 21)], [], id="silence is no hole"),
        pytest.param(
            words(0, 20),
            [
                Interval(0, 1),
                Interval(5, 7),
                Interval(8.9, 11),
                Interval(13, 15),
                Interval(19, 20.5),
            ],
            [Interval(5, 11)],
            id="pauses do not count, silence ends it",
        ),
        pytest.param(
            words(0, 9),
            [Interval(0, 5), Interval(4, 9.5)],
            [Interval(0.5, 9)],
            id="speech told by two windows is one",
        ),
        pytest.param(
            (Word("long", 0, 9), Word("inside", 2, 3)), [Interval(0, 9)], [], id="words may overlap"
        ),
        pytest.param(
            words(0, 5, 10),
            [Interval(0, 10.5)],
            [Interval(0.5, 5), Interval(5.5, 10)],
            id="one word between",
        ),
    ],
)
def test_holes_are_speech_without_words(heard, speech, found) -> None:
    assert list(measure_coverage(heard, speech).gaps) == found
    assert list(measure_coverage(heard[::-1], speech[::-1]).gaps) == found


def test_what_is_reported_counts_the_speech_alone() -> None:
    speech = [Interval(0, 1), Interval(2.5, 4), Interval(5, 7)]
    assert to_json(measure_coverage(words(0), speech)) == {
        "speech_seconds": 4.5,
        "speech_seconds_without_words": 4.0,
        "holes": [{"start": 0.5, "end": 7.0}],
    }


def test_a_hole_that_the_engine_tells_of_itself_is_not_told_of_twice() -> None:
    measured = measure_coverage(words(0, 20), [Interval(0, 20.5)])
    its_own = Note(1, 19, "words were dropped because they repeat")
    of_all = Note(0, 240, "word times are less exact")
    assert find_unexplained_gaps(measured, [of_all, its_own]) == []
    assert build_notes(find_unexplained_gaps(measured, [of_all])) == [
        Note(
            0.5,
            20,
            "the audio seems to contain speech, but no words were transcribed",
            WarningCode.SPEECH_WITHOUT_WORDS,
        )
    ]


def test_only_words_in_the_hole_are_filled_in() -> None:
    before = words(0, 8)
    again = words(-0.1, 0.2, 0.45, 7.7, 8.1)
    again = (*again, Word("found", 3, 4), Word("to the end", 7.2, 8.05))
    assert [word.text for word in fill_gap(before, Interval(0.5, 8), again)] == [
        "at 0", "at 0.45", "found", "to the end", "at 8",
    ]  # fmt: skip


@st.composite
def chunks(draw: st.DrawFn) -> tuple[tuple[Word, ...], list[Interval]]:
    times = st.floats(0, 60).map(lambda time: round(time, 2))
    heard = tuple(
        Word("w", start, start + draw(st.sampled_from([0.0, 0.3, 5.0])))
        for start in draw(st.lists(times, max_size=12))
    )
    pairs = draw(st.lists(st.tuples(times, times), max_size=8))
    return heard, [Interval(min(pair), max(pair)) for pair in pairs]


@settings(max_examples=200, deadline=None)
@given(chunks())
def test_holes_have_speech_enough_and_no_word(chunk) -> None:
    heard, speech = chunk
    measured = measure_coverage(heard, speech)
    for hole in measured.gaps:
        assert hole.duration >= MIN_GAP_SECONDS
        assert not [word for word in heard if word.start < hole.end and word.end > hole.start]
        assert may_have_gaps(heard, Interval(0, 65))
    assert 0 <= measured.uncovered <= measured.speech + 1e-9
    assert len(measured.gaps) * MIN_GAP_SECONDS <= measured.uncovered + 1e-9
    # Nothing is left to say of holes that were filled.
    new = [Word("new", hole.start, hole.end) for hole in measured.gaps]
    assert measure_coverage([*heard, *new], speech).gaps == ()


class TestHearingAgain:
    """Of a chunk that lies from 100 s to 130 s in its recording."""

    place = ChannelInterval(100.0, 130.0)
    part = PartId("job", PartKind.CHUNK, 1)

    @pytest.fixture(autouse=True)
    def prepared(self, database, tmp_path: Path) -> None:
        chunks = [{"index": 0}, {"index": 1, "speech": [[100.0, 130.0]]}]
        self.write({"chunks": chunks})
        self.audio = write_wav(tmp_path / "chunk.wav", babble(30))
        self.pieces: list[float] = []

    def write(self, metadata: object) -> None:
        key = layout.artefact(self.part.job_id, layout.CHUNKS_METADATA)
        storage().put_bytes(key, json.dumps(metadata).encode())

    def listen(self, piece: Path) -> Transcription:
        with wave.open(str(piece)) as file:
            self.pieces.append(file.getnframes() / file.getframerate())
        return Transcription((Word("found", 1.0, 2.0), Word("too late", 90.0, 91.0)))

    def heard_again(self, heard: Transcription) -> list[tuple[str, float]]:
        told = coverage_retry.retry_gaps(self.part, self.place, heard, self.audio, self.listen)
        return [(word.text, word.start) for word in told.words]

    def test_a_hole_is_cut_out_and_filled(self) -> None:
        heard = Transcription((*words(100, 101), *words(*range(111, 130), length=1.0)))
        told = self.heard_again(heard)
        assert told[:3] == [("at 100", 100.0), ("at 101", 101.0), ("found", 102.0)]
        assert len(told) == len(heard.words) + 1
        assert self.pieces == [pytest.approx(10.5)]

    def test_each_hole_is_heard_once_and_cut_at_the_chunk(self) -> None:
        heard = Transcription(words(*range(104, 120), length=1.0))
        assert [text for text, _ in self.heard_again(heard)].count("found") == 2
        assert self.pieces == [pytest.approx(4.5), pytest.approx(10.5)]

    @pytest.mark.parametrize(
        "heard",
        [
            Transcription(words(*range(100, 130), length=1.0)),
            Transcription(words(101)),
            Transcription(
                words(100, 115), notes=(Note(100, 115, "left out"), Note(116, 130, "left out"))
            ),
        ],
        ids=["no hole", "nearly all of the chunk", "the engine knows"],
    )
    def test_what_would_not_help_is_not_done(self, heard: Transcription) -> None:
        assert len(self.heard_again(heard)) == len(heard.words)
        assert self.pieces == []

    def test_a_second_hearing_that_fails_costs_nothing(self, monkeypatch) -> None:
        def fail(piece: Path) -> Transcription:
            raise EngineError("too short for this model")

        monkeypatch.setattr(self, "listen", fail)
        assert self.heard_again(Transcription(words(100, 120))) == [
            ("at 100", 100.0),
            ("at 120", 120.0),
        ]

    @pytest.mark.parametrize("metadata", [{"chunks": []}, {"chunks": [{"index": 1}]}])
    def test_without_voice_activity_there_are_no_holes(self, metadata) -> None:
        self.write(metadata)
        assert self.heard_again(Transcription(words(100, 120))) == [
            ("at 100", 100.0),
            ("at 120", 120.0),
        ]
        assert self.pieces == []
