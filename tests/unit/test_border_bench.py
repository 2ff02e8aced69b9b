"""What `python -m bench.borders` counts is what is wrong beside a cut, and nothing else."""

from __future__ import annotations

import pytest

from bench.borders import Hearing, cut_in_the_middle, judge
from transcripts.stitch import TranscribedChunk
from transcripts.types import Interval, Word

WHOLE = "so we went to the old old house by the river and then home"


def said(text: str, start: float = 0.0) -> tuple[Word, ...]:
    return tuple(
        Word(word, start + at * 0.5, start + at * 0.5 + 0.4) for at, word in enumerate(text.split())
    )


WORDS = said(WHOLE)
HEARING = Hearing(
    "talk",
    WHOLE,
    WORDS,
    (TranscribedChunk(Interval(0, 4.5), WORDS[:9]), TranscribedChunk(Interval(2.5, 7), WORDS[5:])),
)


def test_what_is_right_has_nothing_wrong() -> None:
    found = judge(HEARING, WORDS)
    assert (found.wer, found.doubled, found.lost, found.reordered) == (0, (), (), ())
    assert cut_in_the_middle(HEARING.chunks) == WORDS


@pytest.mark.parametrize(
    ("told", "doubled", "lost", "reordered"),
    [
        pytest.param(
            (*WORDS[:8], Word("house", 3.9, 4.2), *WORDS[8:]), ["house"], [], [], id="doubled"
        ),
        pytest.param((*WORDS[:7], *WORDS[8:]), [], ["house"], [], id="lost"),
        pytest.param(
            (*WORDS[:7], Word("horse", 3.5, 3.9), *WORDS[8:]), [], [], [], id="heard otherwise"
        ),
        pytest.param(
            (*WORDS[:7], Word("by", 3.5, 3.9), Word("house", 4.0, 4.4), *WORDS[9:]),
            *([], [], ["by"]),
            id="reordered",
        ),
        pytest.param(WORDS[1:], [], [], [], id="far from the cut"),
    ],
)
def test_what_is_wrong_is_counted_as_what_it_is(
    told: tuple[Word, ...], doubled: list[str], lost: list[str], reordered: list[str]
) -> None:
    found = judge(HEARING, told)
    wrong = [
        [word.text for word in words] for words in (found.doubled, found.lost, found.reordered)
    ]
    assert wrong == [doubled, lost, reordered]
