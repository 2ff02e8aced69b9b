"""Gunicorn's log lines, in the same format as all others."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from core import log


class Logger(GunicornLogger):
    """For ``--logger-class``. The API server logs every request itself."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        log.configure_logging()
        self.error_log.handlers.clear()
        self.error_log.propagate = True
