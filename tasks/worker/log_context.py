"""Add the job to every log line of a worker, including Celery's lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from celery import Task
from celery.signals import task_postrun, task_prerun
from celery.worker import state
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

#: Header of every message: the id of the API request that caused it, as in the API's log.
REQUEST_ID = "request_id"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def build_headers() -> dict[str, str]:
    """Return the headers of messages that are sent now."""
    request_id = get_contextvars().get(REQUEST_ID)
    return {REQUEST_ID: request_id} if request_id else {}


@task_prerun.connect
def _bind_context(task_id: str, task: Task, args: Sequence[Any], **_: Any) -> None:
    clear_contextvars()
    context = {"task_id": task_id, "step": task.name}
    context |= dict(zip(("job_id", "position"), args, strict=False))
    if request_id := task.request.get(REQUEST_ID):
        context[REQUEST_ID] = request_id
    bind_contextvars(**context)


@task_postrun.connect
def _clear_context(**_: Any) -> None:
    clear_contextvars()


def add_job(_logger: Any, _name: str, line: structlog.typing.EventDict) -> Any:
    """Add the job to Celery's log lines. They name a task, whose arguments name the job."""
    if "job_id" in line:
        return line
    task_data = getattr(line["_record"], "data", {})
    if match := _UUID.search(str(task_data.get("args", ""))):
        return {**line, "job_id": match[0], "task_id": task_data.get("id")}
    for task_id, job_id in _find_jobs(str(line["event"])):
        return {**line, "job_id": job_id, "task_id": task_id}
    return line


def _find_jobs(text: str) -> Iterator[tuple[str, str]]:
    for task_id in _UUID.findall(text):
        request = state.requests.get(task_id)
        if request is not None and (match := _UUID.search(str(request.argsrepr))):
            yield task_id, match[0]
