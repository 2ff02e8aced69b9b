"""Celery's beat, which begins a new schedule file where it cannot load the one that is there.

The file says when beat last asked for what; it names the classes of schedules, and another version
of this service may have had others. Nothing is lost with it: what is due is asked for at once.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import PersistentScheduler

log = structlog.get_logger(__name__)


class BeatScheduler(PersistentScheduler):
    """Celery forgets a file that is damaged, but ends on one that names a class that is gone."""

    _store: Any

    def _create_schedule(self) -> None:
        try:
            super()._create_schedule()
        except (ImportError, AttributeError) as error:
            log.info("schedule of another version is forgotten", reason=str(error))
            self._store.close()
            self._remove_db()
            self._store = self._open_schedule()
            super()._create_schedule()
