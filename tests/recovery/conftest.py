"""A stack with a gate for each file: what one leaves in the queues is nothing to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recovery.gated import GatedStack, gated_stack, heard, submit
from transcribe_api.client import Client


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedStack]:
    with gated_stack(tmp_path_factory.mktemp("gated")) as running:
        yield running


@pytest.fixture
def client(here: GatedStack) -> Iterator[Client]:
    with Client(here.stack.url) as ours:
        yield ours


@pytest.fixture(scope="module")
def expected(here: GatedStack) -> list[str]:
    """What is heard of the sample when nothing happens."""
    with Client(here.stack.url) as ours:
        return heard(ours, submit(ours))
