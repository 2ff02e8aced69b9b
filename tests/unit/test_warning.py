"""Warnings: written down, told and read in one form, and put into lines for people."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from core.db.models import Transcript
from core.db.transactions import read_session, transaction
from transcribe_api.cli.warning_lines import MAX_INTERVALS, MAX_LINES, fold_warnings
from transcripts.clock_time import format_clock_time
from transcripts.warning import TranscriptWarning, WarningCode, from_json, to_json

ROOT = Path(__file__).resolve().parents[2]
TIMES = st.integers(0, 40_000_000).map(lambda thousandths: thousandths / 1000)
WARNINGS = st.builds(
    TranscriptWarning, st.sampled_from(WarningCode), st.text(), st.none() | TIMES, st.none() | TIMES
)


@given(WARNINGS)
def test_what_is_written_down_is_read_again(warning):
    assert from_json(to_json(warning)) == warning


def test_a_sentence_of_version_0_1_is_a_warning():
    assert from_json("a gap") == TranscriptWarning(WarningCode.OTHER, "a gap")


def test_a_row_of_version_0_1_is_read(database):
    with transaction() as session:
        row = Transcript(filename="a.wav", engine="sphinx", warnings=[])
        session.add(row)
        session.flush()
        session.execute(text("UPDATE transcripts SET warnings = '[\"a gap\"]'"))
    with read_session() as session:
        assert session.scalars(select(Transcript)).one().warnings == [from_json("a gap")]


@pytest.mark.parametrize("code", WarningCode)
def test_only_what_failed_may_be_mended_by_a_retry(code):
    told = to_json(TranscriptWarning(code, "x"))
    assert told["retryable"] == (code in {"chunk_failed", "speakers_failed"})
    assert not told["retryable"] or told["severity"] == "error"


def doubt(at: float) -> dict[str, object]:
    return to_json(TranscriptWarning(WarningCode.WORDS_DOUBTFUL, f"doubtful {at}", at, at + 2))


def test_a_few_have_a_line_each_with_their_times():
    assert list(fold_warnings([doubt(3150.2), doubt(3725)])) == [
        "52:30-52:32: doubtful 3150.2",
        "1:02:05-1:02:07: doubtful 3725",
    ]


def test_many_of_a_kind_are_one_line_and_others_keep_theirs():
    many = [doubt(10.0 * at) for at in range(MAX_INTERVALS + 2)]
    rest = to_json(TranscriptWarning(WarningCode.WORDS_DOUBTFUL, "7 more intervals"))
    cut = to_json(TranscriptWarning(WarningCode.RECORDING_BREAKS_OFF, "it breaks off"))
    folded, counted, other = fold_warnings([*many, rest, cut])
    assert folded.startswith("words are doubtful, in 10 intervals: 0:00-0:02, 0:10-0:12, ")
    assert folded.endswith("1:10-1:12 and 2 more")
    assert (counted, other) == ("7 more intervals", "it breaks off")
    assert len(list(fold_warnings(many[:MAX_LINES]))) == MAX_LINES


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.9, "0:00"), (59.99, "0:59"), (60, "1:00"), (36_061.5, "10:01:01")]
)
def test_a_time_is_written_as_players_do(seconds, written):
    assert format_clock_time(seconds) == written


def test_every_code_is_documented():
    documented = (ROOT / "docs/api.md").read_text()
    assert [code for code in WarningCode if f"`{code}`" not in documented] == []
