"""A schedule that tolerates changes of the system clock."""

from __future__ import annotations

from datetime import datetime

from celery.schedules import schedstate, schedule


class DriftSafeSchedule(schedule):
    """A schedule with a fixed interval in seconds.

    If the clock is set back, the library would do nothing until the former time is reached again.
    """

    def is_due(self, last_run_at: datetime) -> schedstate:
        if self.maybe_make_aware(last_run_at) > self.now():
            return schedstate(is_due=True, next=self.seconds)
        return super().is_due(last_run_at)
