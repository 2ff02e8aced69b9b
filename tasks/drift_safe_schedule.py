"""A schedule that bears that the clock is set."""

from __future__ import annotations

from datetime import datetime

from celery.schedules import schedstate, schedule


class DriftSafeSchedule(schedule):
    """Every so many seconds.

    When the clock is set back, the library would do nothing until it is as late as it has been.
    """

    def is_due(self, last_run_at: datetime) -> schedstate:
        if self.maybe_make_aware(last_run_at) > self.now():
            return schedstate(is_due=True, next=self.seconds)
        return super().is_due(last_run_at)
