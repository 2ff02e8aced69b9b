"""Responses that are sent while they are generated."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item", str, bytes)


def prefetch_first(items: Iterator[Item]) -> Iterator[Item]:
    """Return the same items, with the first one fetched now.

    So an initial error becomes an error response, not a broken stream.
    """
    return _chain_items(list(islice(items, 1)), items)


def _chain_items(fetched: list[Item], rest: Iterator[Item]) -> Iterator[Item]:
    # A generator, not a chain: it passes on that the client has disconnected.
    yield from fetched
    yield from rest
