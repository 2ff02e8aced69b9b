"""Beat goes on when the clock is set, and over the schedule file of another version."""

from __future__ import annotations

import shelve
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from celery.beat import ScheduleEntry
from celery.schedules import schedule

from tasks.beat_scheduler import BeatScheduler
from tasks.celery import app
from tasks.drift_safe_schedule import DriftSafeSchedule

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("ago", "is_due"), [(5, True), (4, False), (0, False), (-600, True)])
def test_what_was_last_done_in_the_future_is_done_now(ago: float, is_due: bool):
    every = DriftSafeSchedule(5.0, nowfun=lambda: NOW, app=app)
    told = every.is_due(NOW - timedelta(seconds=ago))
    assert told.is_due is is_due
    assert 0 < told.next <= 5


def test_all_that_beat_asks_for_bears_it():
    assert {type(one["schedule"]) for one in app.conf.beat_schedule.values()} == {DriftSafeSchedule}


def test_a_schedule_file_of_a_version_with_other_classes_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Gone(schedule):
        """Of a module that is not there any more."""

    Gone.__module__, Gone.__qualname__ = "tasks.every", "Gone"
    module = ModuleType("tasks.every")
    module.Gone = Gone  # type: ignore[attr-defined]
    file = str(tmp_path / "beat")
    with monkeypatch.context() as patch, shelve.open(file) as store:
        patch.setitem(sys.modules, "tasks.every", module)
        entry = ScheduleEntry(name="old", task="old", schedule=Gone(1.0, app=app), app=app)
        store["entries"] = {"old": entry}
    for _ in range(2):  # what was made of the other version's, and then what this one wrote
        scheduler = BeatScheduler(app, schedule_filename=file)
        kinds = {name: type(entry.schedule) for name, entry in scheduler.schedule.items()}
        assert "old" not in kinds
        assert {kinds[name] for name in app.conf.beat_schedule} == {DriftSafeSchedule}
        scheduler.close()
