"""A name stays with the voice that it was given to, whatever number that voice gets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcripts.speakers.continuity import carry_over
from transcripts.types import Turn


def talk(text: str) -> list[Turn]:
    """Ten seconds a digit, each the number of who speaks; ``.`` is nobody."""
    return [
        Turn(10.0 * at, 10.0 * at + 10, int(digit)) for at, digit in enumerate(text) if digit != "."
    ]


NAMES = {0: "Ana", 1: "Ben"}


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        pytest.param("0110", "0110", {0: "Ana", 1: "Ben"}, id="all is as it was"),
        pytest.param("0110", "1001", {1: "Ana", 0: "Ben"}, id="the numbers have changed"),
        pytest.param("..10", "0110", {1: "Ben", 0: "Ana"}, id="a gap was filled"),
        pytest.param(".110", "2110", {1: "Ben", 0: "Ana"}, id="somebody new comes first"),
        pytest.param("00011", "00211", {0: "Ana", 1: "Ben"}, id="a small part is another's now"),
        pytest.param("0011", "0211", {1: "Ben"}, id="halves belong to nobody"),
        pytest.param("00011", "00000", {0: "Ana"}, id="of two who are one, who spoke more"),
        pytest.param("0011", "0000", {}, id="... or nobody"),
        pytest.param("0001", "...0", {0: "Ben"}, id="a bearer who is gone takes the name along"),
        pytest.param("0222", "0111", {0: "Ana"}, id="who had no name gets none"),
        pytest.param("", "01", {}, id="nothing was known"),
        pytest.param("01", "", {}, id="nobody speaks any more"),
    ],
)
def test_names_follow_their_bearers(before: str, after: str, kept: dict[int, str]) -> None:
    assert carry_over(NAMES, talk(before), talk(after)) == kept


def test_who_talks_at_the_same_time_is_told_apart_by_the_rest() -> None:
    before = [Turn(0, 20, 0), Turn(5, 10, 1), Turn(30, 40, 1)]
    after = [Turn(0, 20, 4), Turn(5, 10, 3), Turn(30, 40, 3)]
    assert carry_over(NAMES, before, after) == {4: "Ana", 3: "Ben"}


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    turns, now = [], 0.0
    for _ in range(draw(st.integers(1, 30))):
        length = draw(st.floats(1.0, 8.0))
        turns.append(Turn(now, now + length, draw(st.integers(0, 4))))
        now += length + draw(st.sampled_from([0.0, 0.5, 3.0]))
    return turns


@settings(max_examples=200, deadline=None)
@given(conversations(), st.permutations(range(5)), st.randoms(use_true_random=False))
def test_every_name_survives_new_numbers_and_slightly_other_times(
    turns: list[Turn], numbers: list[int], random
) -> None:
    again = [
        Turn(
            turn.start + random.uniform(-0.2, 0.2),
            turn.end + random.uniform(-0.2, 0.2),
            numbers[turn.speaker],
        )
        for turn in turns
    ]
    names = {turn.speaker: f"name {turn.speaker}" for turn in turns}
    assert carry_over(names, turns, again) == {
        numbers[speaker]: name for speaker, name in names.items()
    }


@settings(max_examples=200, deadline=None)
@given(conversations(), conversations())
def test_no_name_is_given_twice_or_made_up(before: list[Turn], after: list[Turn]) -> None:
    names = {turn.speaker: f"name {turn.speaker}" for turn in before}
    kept = carry_over(names, before, after)
    assert set(kept) <= {turn.speaker for turn in after}
    assert len(set(kept.values())) == len(kept)
    assert set(kept.values()) <= set(names.values())
