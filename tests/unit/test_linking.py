"""Speakers of shards that were diarized apart become speakers of the recording."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcripts.speakers.linking import Shard, link_speakers
from transcripts.types import Diarization, Interval, Turn

ANNA, BEN, CARL = (1.0, 0.0, 0.0, 0.1), (0.0, 1.0, 0.0, 0.1), (0.0, 0.0, 1.0, 0.1)


def shard(
    start: float, end: float, turns: list[Turn], embeddings: dict[int, tuple[float, ...]]
) -> Shard:
    return Shard(Interval(start, end), Diarization(tuple(turns), embeddings))


def test_one_shard_is_only_numbered_and_moved() -> None:
    alone = shard(100, 120, [Turn(0, 3, 7), Turn(4, 4.5, 2), Turn(5, 9, 7)], {})
    assert link_speakers([alone]) == (Turn(100, 103, 0), Turn(104, 104.5, 1), Turn(105, 109, 0))


def test_a_voice_keeps_its_number_over_shards_that_number_it_otherwise() -> None:
    first = shard(0, 60, [Turn(0, 10, 0), Turn(12, 20, 1)], {0: ANNA, 1: BEN})
    second = shard(60, 120, [Turn(5, 15, 0), Turn(20, 30, 1)], {0: BEN, 1: ANNA})
    assert [turn.speaker for turn in link_speakers([first, second])] == [0, 1, 1, 0]


def test_a_new_voice_is_a_new_speaker() -> None:
    first = shard(0, 60, [Turn(0, 10, 0)], {0: ANNA})
    second = shard(60, 120, [Turn(5, 15, 0), Turn(20, 30, 1)], {0: CARL, 1: ANNA})
    assert [turn.speaker for turn in link_speakers([first, second])] == [0, 1, 0]


@pytest.mark.parametrize(("second", "numbers"), [(ANNA, [0, 0]), (BEN, [0, 1])])
def test_shards_with_one_speaker_each(second: tuple[float, ...], numbers: list[int]) -> None:
    shards = [
        shard(0, 60, [Turn(0, 10, 0)], {0: ANNA}),
        shard(60, 120, [Turn(5, 15, 0)], {0: second}),
    ]
    assert [turn.speaker for turn in link_speakers(shards)] == numbers


def test_who_speaks_only_in_the_last_of_many_shards_is_somebody_new() -> None:
    both = [
        shard(at, at + 60, [Turn(0, 9, 0), Turn(9.5, 20, 1)], {0: ANNA, 1: BEN}) for at in (0, 60)
    ]
    last = shard(120, 180, [Turn(0, 5, 0), Turn(6, 12, 1)], {0: CARL, 1: BEN})
    assert [turn.speaker for turn in link_speakers([*both, last])] == [0, 1, 0, 1, 2, 1]


@pytest.mark.parametrize("louder", [1e-3, 0.25, 40.0])
def test_a_voice_is_the_same_however_loud(louder: float) -> None:
    first = shard(0, 60, [Turn(0, 10, 0), Turn(12, 20, 1)], {0: ANNA, 1: BEN})
    scaled = {who: tuple(louder * value for value in voice) for who, voice in ((0, BEN), (1, ANNA))}
    second = shard(60, 120, [Turn(5, 15, 0), Turn(20, 30, 1)], scaled)
    assert [turn.speaker for turn in link_speakers([first, second])] == [0, 1, 1, 0]


def test_two_speakers_of_one_shard_stay_two_however_alike_they_sound() -> None:
    first = shard(0, 60, [Turn(0, 10, 0), Turn(12, 20, 1)], {0: ANNA, 1: ANNA})
    second = shard(60, 120, [Turn(0, 10, 0)], {0: ANNA})
    assert len({turn.speaker for turn in link_speakers([first, second])}) == 2


def test_the_longer_voice_weighs_more() -> None:
    # Of what is between Anna and Ben, ten minutes of Anna and a moment of noise make an Anna.
    noise = (0.75, 0.65, 0.0, 0.1)
    first = shard(0, 700, [Turn(0, 600, 0)], {0: ANNA})
    second = shard(700, 800, [Turn(0, 3, 0)], {0: noise})
    third = shard(800, 900, [Turn(0, 50, 0), Turn(50.5, 99, 1)], {0: ANNA, 1: BEN})
    assert [turn.speaker for turn in link_speakers([first, second, third])] == [0, 0, 0, 1]


@pytest.mark.parametrize("unknown", [{}, {0: (0.0, 0.0, 0.0, 0.0)}, {0: (math.nan,) * 4}])
def test_a_speaker_without_a_voice_stays_alone(unknown: dict[int, tuple[float, ...]]) -> None:
    first = shard(0, 60, [Turn(0, 10, 0)], {0: ANNA})
    second = shard(60, 120, [Turn(0, 10, 0), Turn(20, 30, 1)], {1: ANNA} | unknown)
    assert [turn.speaker for turn in link_speakers([first, second])] == [0, 1, 0]


@pytest.mark.parametrize(("start", "numbers"), [(10.5, [0, 0, 1, 0]), (31.0, [0, 1, 1, 0])])
def test_a_stray_without_a_voice_goes_to_whoever_speaks_nearest(
    start: float, numbers: list[int]
) -> None:
    turns = [Turn(0, 10, 0), Turn(20, 30, 1), Turn(start, start + 1, 5)]
    first = shard(0, 60, turns, {0: ANNA, 1: BEN})
    second = shard(60, 120, [Turn(0, 10, 0)], {0: ANNA})
    assert [turn.speaker for turn in link_speakers([first, second])] == numbers


def test_a_stray_goes_to_the_voice_it_is_most_like() -> None:
    turns = [Turn(0, 10, 0), Turn(20, 30, 1), Turn(31, 32, 5)]
    first = shard(0, 60, turns, {0: ANNA, 1: BEN, 5: (0.9, 0.1, 0.3, 0.0)})
    second = shard(60, 120, [Turn(0, 10, 0)], {0: ANNA})
    assert [turn.speaker for turn in link_speakers([first, second])] == [0, 1, 0, 0]


def test_people_who_all_say_little_are_all_kept() -> None:
    first = shard(0, 60, [Turn(0, 1, 0)], {0: ANNA})
    second = shard(60, 120, [Turn(0, 1, 0)], {0: BEN})
    assert [turn.speaker for turn in link_speakers([first, second])] == [0, 1]


def test_too_many_speakers_are_joined_across_shards_before_inside_one() -> None:
    sister, cousin = (0.9, 0.4, 0.0, 0.1), (0.6, 0.0, 0.8, 0.0)
    first = shard(0, 60, [Turn(0, 10, 0), Turn(12, 20, 1)], {0: ANNA, 1: sister})
    second = shard(60, 120, [Turn(0, 10, 0)], {0: cousin})
    shards = [first, second]
    assert [turn.speaker for turn in link_speakers(shards, threshold=0.05)] == [0, 1, 2]
    assert [turn.speaker for turn in link_speakers(shards, threshold=0.05, max_speakers=2)] == [
        0,
        1,
        0,
    ]


def test_the_greatest_number_of_speakers_holds_even_inside_a_shard() -> None:
    turns = [Turn(0, 5, 0), Turn(6, 11, 1), Turn(12, 17, 2)]
    three = shard(0, 60, turns, {0: ANNA, 1: BEN, 2: (0.8, 0.5, 0.0, 0.0)})
    assert [turn.speaker for turn in link_speakers([three], max_speakers=2)] == [0, 1, 0]


def test_overlapping_shards_change_over_in_the_middle_and_touching_turns_are_one() -> None:
    first = shard(0, 62, [Turn(50, 62, 0)], {0: ANNA})
    second = shard(58, 120, [Turn(0, 10, 3)], {3: ANNA})
    assert link_speakers([first, second]) == (Turn(50, 68, 0),)
    second = shard(58, 120, [Turn(0, 10, 3)], {3: BEN})
    assert link_speakers([first, second]) == (Turn(50, 60, 0), Turn(60, 68, 1))


def test_a_missing_shard_leaves_a_gap() -> None:
    first = shard(0, 60, [Turn(0, 10, 0)], {0: ANNA})
    third = shard(120, 180, [Turn(0, 10, 0)], {0: ANNA})
    assert link_speakers([first, third]) == (Turn(0, 10, 0), Turn(120, 130, 0))


def test_nobody_speaks() -> None:
    assert link_speakers([]) == ()
    assert link_speakers([shard(0, 60, [], {}), shard(60, 120, [], {})], max_speakers=2) == ()


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def recording(rng: random.Random, people: int) -> tuple[list[Shard], list[list[int]]]:
    """Shards in which some of the people speak, and who is behind each local number."""
    voices = [unit([float(axis == who) for axis in range(24)]) for who in range(people)]
    shards, who_is_who = [], []
    for at in range(rng.randint(2, 5)):
        present = rng.sample(range(people), rng.randint(1, people))
        turns, now = [], 0.0
        for local in rng.choices(range(len(present)), k=12) + list(range(len(present))):
            length = rng.uniform(2.0, 9.0)
            turns.append(Turn(now, now + length, local))
            now += length + rng.uniform(0.2, 2.0)
        embeddings = {
            local: tuple(value + rng.gauss(0, 0.08) for value in voices[who])
            for local, who in enumerate(present)
        }
        shards.append(shard(at * 300.0, (at + 1) * 300.0, turns, embeddings))
        who_is_who.append(present)
    return shards, who_is_who


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 6))
def test_each_voice_has_one_number_and_each_number_one_voice(seed: int, people: int) -> None:
    shards, who_is_who = recording(random.Random(seed), people)
    turns = link_speakers(shards)

    told = {(turn.start, turn.speaker) for turn in turns}
    number_of: dict[int, int] = {}
    for part, present in zip(shards, who_is_who, strict=True):
        for turn in part.diarization.turns:
            number = number_of.setdefault(present[turn.speaker], len(number_of))
            assert (part.interval.start + turn.start, number) in told
    assert turns == link_speakers(shards)
    assert turns == link_speakers(shards[::-1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.floats(0.0, 2.0))
def test_no_two_of_one_shard_are_ever_joined(seed: int, threshold: float) -> None:
    shards, _ = recording(random.Random(seed), 4)
    turns = link_speakers(shards, threshold=threshold)
    for part in shards:
        local_of: dict[int, set[int]] = {}
        for turn in turns:
            for own in part.diarization.turns:
                if turn.start == part.interval.start + own.start:
                    local_of.setdefault(turn.speaker, set()).add(own.speaker)
        assert all(len(locals_) == 1 for locals_ in local_of.values())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 5))
def test_never_more_speakers_than_allowed_and_numbers_by_appearance(seed: int, most: int) -> None:
    shards, _ = recording(random.Random(seed), 5)
    numbers = [turn.speaker for turn in link_speakers(shards, max_speakers=most)]
    assert list(dict.fromkeys(numbers)) == list(range(len(set(numbers))))
    assert len(set(numbers)) <= most
