"""Answers that are sent while they are made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item", str, bytes)


def prefetch_first(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, the first of them fetched now.

    So what is wrong from the beginning is answered with an error, not with a stream that breaks.
    """
    return _chain_items(list(islice(items, 1)), items)


def _chain_items(fetched: list[Item], rest: Iterator[Item]) -> Iterator[Item]:
    # A generator, not a chain: it hands on that the listener has gone.
    yield from fetched
    yield from rest
