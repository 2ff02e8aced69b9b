"""A worker that is started in the place of a killed one goes on with what that had in hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recovery.gated import QUEUE, GatedStack, gated_stack, killed_in_the_middle

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedStack]:
    """Leases that never run out: nothing that a killed worker had is free by itself."""
    with gated_stack(tmp_path_factory.mktemp("gated"), LEASE_SECONDS="86400") as running:
        yield running


@pytest.mark.parametrize("which", [QUEUE, ""])
def test_what_was_in_hand_does_not_wait_for_its_lease(here, client, expected, which: str):
    """Of the engine's worker, or of all workers at once."""
    killed_in_the_middle(here, client, which, expected)
