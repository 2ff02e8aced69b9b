"""Progress by expected time: what was done of what takes longest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import catalog
from tasks.reporting.estimates import PartProgress, compute_share_done

CLASSIC, WHISPER, PYANNOTE = (
    catalog.CLASSIC.cpu_seconds,
    catalog.WHISPER.cpu_seconds,
    catalog.PYANNOTE.cpu_seconds,
)


def tally(done: int, total: int, seconds: float = 30.0) -> PartProgress:
    return PartProgress(
        done=done, total=total, seconds_done=done * seconds, seconds_total=total * seconds
    )


def test_nothing_is_done_when_only_the_speakers_are_known():
    assert compute_share_done(tally(0, 151), WHISPER, tally(3, 3, 1500), CLASSIC) == 0


def test_chunks_count_alone_when_they_take_longest():
    share = compute_share_done(tally(6, 151), WHISPER, tally(3, 3, 1510), CLASSIC)
    assert share == pytest.approx(6 / 151)


def test_speakers_that_are_found_quickly_leave_little_to_wait_for():
    assert 0.9 < compute_share_done(tally(1, 1), WHISPER, tally(0, 1), CLASSIC) < 1


def test_speakers_that_are_found_slowly_leave_much_to_wait_for():
    assert compute_share_done(tally(1, 1), WHISPER, tally(0, 1), PYANNOTE) == pytest.approx(0.5)


def test_all_is_done_when_nobody_looks_for_speakers():
    assert compute_share_done(tally(4, 4), WHISPER, PartProgress(), CLASSIC) == 1


@given(st.integers(1, 50), st.integers(0, 5), st.floats(0.001, 1), st.floats(0.001, 1), st.data())
def test_the_share_only_grows_and_ends_at_one(chunks, shards, chunk_cost, shard_cost, data):
    def share(chunks_done: int, shards_done: int) -> float:
        shard_seconds = 30.0 * chunks / max(shards, 1)
        return compute_share_done(
            tally(chunks_done, chunks), chunk_cost,
            tally(shards_done, shards, shard_seconds), shard_cost,
        )  # fmt: skip

    chunks_done, shards_done = data.draw(st.integers(0, chunks)), data.draw(st.integers(0, shards))
    now = share(chunks_done, shards_done)
    assert 0 <= now <= 1
    assert now <= share(min(chunks_done + 1, chunks), shards_done) + 1e-9
    assert now <= share(chunks_done, min(shards_done + 1, shards)) + 1e-9
    assert share(chunks, shards) == pytest.approx(1)
