"""Celery's beat, which replaces a schedule file that it cannot load.

The file records when beat last sent each task. It names the classes of schedules, and another
version of this service may have had other classes. A new file loses nothing: due tasks are sent at
once.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import PersistentScheduler

log = structlog.get_logger(__name__)


class BeatScheduler(PersistentScheduler):
    """A scheduler that also replaces a schedule file of another version.

    Celery replaces a damaged file, but stops with an error if the file names a missing class.
    """

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
