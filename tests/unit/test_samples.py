"""The sample conversation: its words, its turns and its sound belong together."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
LINES = (SAMPLES / "conversation.txt").read_text().splitlines()
TURNS = [line.split() for line in (SAMPLES / "conversation.rttm").read_text().splitlines()]


def _seconds() -> float:
    with av.open(str(SAMPLES / "conversation.flac")) as file:
        stream = file.streams.audio[0]
        assert (stream.rate, stream.channels) == (16_000, 1)
        return sum(frame.samples for frame in file.decode(stream)) / 16_000


def test_there_is_a_line_of_text_for_every_turn() -> None:
    assert len(LINES) == len(TURNS)
    assert {turn[7] for turn in TURNS} == {"anna", "robert"}


def test_text_is_words_as_a_recogniser_writes_them() -> None:
    assert all(set(line) <= set("abcdefghijklmnopqrstuvwxyz' ") for line in LINES)


def test_turns_follow_each_other_with_pauses_and_end_with_the_recording() -> None:
    starts = [float(turn[3]) for turn in TURNS]
    ends = [start + float(turn[4]) for start, turn in zip(starts, TURNS, strict=True)]
    pauses = [start - end for start, end in zip(starts, [0.0, *ends], strict=False)]
    assert all(0.3 <= pause <= 1.25 for pause in pauses)
    assert 90 <= _seconds() <= 180
    assert _seconds() - ends[-1] == pytest.approx(1.0, abs=0.01)


def test_each_turn_lasts_as_long_as_its_words_take_to_say() -> None:
    for line, turn in zip(LINES, TURNS, strict=True):
        assert 1.5 <= len(line.split()) / float(turn[4]) <= 6, line


def test_it_is_small_enough_to_keep_in_the_repository() -> None:
    assert (SAMPLES / "conversation.flac").stat().st_size < 2_000_000


@pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("espeak-ng")),
    reason="flite and espeak-ng, which speak, are not both installed",
)
def test_the_script_makes_the_same_conversation_again(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SAMPLES / "make_conversation.py", tmp_path], check=True)
    assert (tmp_path / "conversation.txt").read_text().splitlines() == LINES
    # Another flite may breathe a little differently.
    made = (tmp_path / "conversation.rttm").read_text().splitlines()
    for line, turn in zip(made, TURNS, strict=True):
        assert float(line.split()[3]) == pytest.approx(float(turn[3]), abs=1.0)


def test_the_portuguese_conversation_is_whole_too() -> None:
    lines = (SAMPLES / "conversa.txt").read_text().splitlines()
    turns = [line.split() for line in (SAMPLES / "conversa.rttm").read_text().splitlines()]
    assert len(lines) == len(turns)
    assert {turn[7] for turn in turns} == {"marta", "paulo"}
    assert sum(len(line.split()) for line in lines) >= 150
    assert all(
        line == line.lower() and line.replace(" ", "").replace("-", "").isalpha() for line in lines
    )
    assert (SAMPLES / "conversa.flac").stat().st_size < 2_000_000
