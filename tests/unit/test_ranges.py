"""Ranges are a set of numbers, however they came in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe_api.http.events.ranges import Ranges

NUMBERS = st.lists(st.integers(0, 60))


def ranges(*numbers: int) -> Ranges:
    made = Ranges()
    for number in numbers:
        made.add(number)
    return made


@given(NUMBERS)
def test_what_was_added_is_in_it_and_nothing_else(numbers: list[int]):
    made = ranges(*numbers)
    assert {number for number in range(70) if number in made} == set(numbers)
    assert len(made) == len(set(numbers))


@given(NUMBERS)
def test_what_is_written_is_read_again_and_the_shortest_there_is(numbers: list[int]):
    text = ranges(*numbers).render(1000)
    assert text == ranges(*sorted(numbers)).render(1000)
    assert Ranges.parse(text).render(1000) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((), ""), ((7,), "7"), ((2, 0, 1), "0-2"), ((5, 0, 4, 9), "0,4-5,9")],
)
def test_how_it_is_written(numbers: tuple[int, ...], text: str):
    assert ranges(*numbers).render(100) == text


@pytest.mark.parametrize(
    "text",
    ["", "x", "1-", "-1", "1,,2", "3-1", "5,1", "1,2", "1-3,3", "1-9999999999", "٣", "1 ", "1\n"],
)
def test_what_was_not_written_by_us_is_empty(text: str):
    assert len(Ranges.parse(text)) == 0


@pytest.mark.parametrize(
    ("longest", "text"),
    [(100, "0-5,7,9"), (7, "0-5,7,9"), (6, "0-5,7"), (5, "0-5,7"), (4, "0-5"), (2, "")],
)
def test_what_is_too_long_loses_its_last_ranges(longest: int, text: str):
    assert ranges(0, 1, 2, 3, 4, 5, 7, 9).render(longest) == text
