"""The Celery application. ``celery -A tasks`` finds it here."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import setup_logging

from core import log
from tasks.heartbeat import Heartbeat

app = Celery("tasks")
app.config_from_object("celeryconfig")
app.steps["consumer"].add(Heartbeat)


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    log.configure()
