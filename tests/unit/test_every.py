"""Beat goes on when the clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.celery import app
from tasks.every import Every

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("ago", "is_due"), [(5, True), (4, False), (0, False), (-600, True)])
def test_what_was_last_done_in_the_future_is_done_now(ago: float, is_due: bool):
    every = Every(5.0, nowfun=lambda: NOW, app=app)
    told = every.is_due(NOW - timedelta(seconds=ago))
    assert told.is_due is is_due
    assert 0 < told.next <= 5


def test_all_that_beat_asks_for_bears_it():
    assert {type(one["schedule"]) for one in app.conf.beat_schedule.values()} == {Every}
