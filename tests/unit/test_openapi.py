"""/openapi.json says what the service does, and /docs shows it without asking another machine."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError
from schemathesis.specs.openapi.definitions import OPENAPI_31
from werkzeug.test import TestResponse

from core import clock
from core.db.models import DeliveryRow, TranscriptJob
from core.db.transactions import transaction
from core.settings import settings
from core.states import DeliveryState
from core.storage import layout, storage
from tests.factories.jobs import begin_merge, begin_preparation, complete_job, finish_preparation
from tests.factories.recordings import build_recording
from tests.factories.transcripts import create_transcript
from transcribe_api.app import create_app
from transcribe_api.http import route_docs
from transcribe_api.http.requests.json_bodies import Line
from transcribe_api.http.route_docs import Answer
from transcribe_api.schemas import openapi
from transcribe_api.schemas.system import Alive

pytestmark = pytest.mark.usefixtures("database")

API = "/api/transcribe"
FIRST_BYTE = {"Range": "bytes=0-0"}
#: What describes the interface is no part of it.
UNTOLD = {"static", "docs.document", "docs.page", "page.show"}


@pytest.fixture
def app() -> Flask:
    return create_app()


@pytest.fixture
def document(app: Flask) -> dict:
    return app.test_client().get("/openapi.json").json


def operations(document: dict) -> Iterator[tuple[str, dict]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_openapi(document: dict):
    Draft202012Validator(OPENAPI_31).validate(document)
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema["description"], name


def test_models_live_among_the_schemas(app: Flask):
    routes = [
        route for view in app.view_functions.values() if (route := route_docs.find_route(view))
    ]
    told = {answer.model or answer.events for route in routes for answer in route.answers}
    asked = {
        one for route in routes for one in (route.query, route.body, route.form, route.headers)
    }
    homes = ("transcribe_api.schemas.", "tasks.reporting.job_state")
    for model in told | asked - {None}:
        assert model is None or model.__module__.startswith(homes), model


def test_no_limit_is_lost_in_the_words_of_pydantic(document: dict):
    """It writes so, where a limit stands beside a type that it does not know how to limit."""
    assert not re.search(r"'(ge|gt|le|lt|min_length|max_length)':", str(document))


def test_every_reference_leads_somewhere_and_nothing_lies_there_unused(document: dict):
    told = str(document)
    for kind in ("schemas", "responses"):
        there = {f"#/components/{kind}/{name}" for name in document["components"][kind]}
        assert set(re.findall(rf"#/components/{kind}/\w+", told)) == there


def test_every_example_is_valid(document: dict):
    for name, schema in document["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            whole = {**told, "components": document["components"]}
            for example in told.get("examples", ()):
                assert Draft202012Validator(whole).is_valid(example), f"{name}.{field}: {example}"


def test_every_route_is_documented(app: Flask):
    views = app.view_functions.items()
    assert {name for name, view in views if route_docs.find_route(view) is None} == UNTOLD


def test_every_operation_says_what_it_does_takes_and_answers(document: dict):
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for name, operation in operations(document):
        assert operation["summary"].endswith("."), name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], f"{name}: {parameter['name']}"
        statuses = operation["responses"].keys()
        assert min(statuses) < "300", name
        if operation.get("security") != []:
            assert {"401", "403", "429", "503"} <= statuses, name
        if "requestBody" in operation:
            assert {"400", "413", "422"} <= statuses, name


def test_limits_and_names_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHISPERX_AVAILABLE_MODELS", "parrot")
    settings.cache_clear()
    document = openapi.build_document(create_app())
    assert "parrot" in document["components"]["schemas"]["JobForm"]["properties"]["model"]["enum"]


@given(st.text(max_size=5) | st.text("a \t\n\x00\x1f\x85\xa0\u2028\u3000\ufeff", max_size=6))
def test_the_pattern_of_a_line_says_what_is_allowed(text: str):
    line = TypeAdapter(Line)
    pattern = line.json_schema()["pattern"]
    try:
        line.validate_python(text)
    except ValidationError:
        assert not re.search(pattern, text)
    else:
        assert re.search(pattern, text)


@dataclass
class World:
    """Something of everything that can be asked for."""

    browser: FlaskClient
    job: TranscriptJob

    def get(self, url: str) -> TestResponse:
        return self.browser.get(f"{API}/{url}")

    def submit(self, engine: str = "") -> TestResponse:
        url = f"{API}/jobs/transcribe{engine}"
        return self.browser.post(url, data={"file": (build_recording(), "a.wav")})

    def audio(self) -> str:
        """The link to the recording."""
        link: str = self.get(f"jobs/result/{self.job.job_id}").json["audio_url"]
        return link

    def named(self, kind: str) -> str:
        """The address of a new session or context."""
        return self.browser.post(f"{API}/{kind}", json={"name": "Monday"}).headers["Location"]


@pytest.fixture
def world(app: Flask, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("MEDIA_ROOTS", str(data_dir))
    settings.cache_clear()
    job = create_transcript(0, 1)
    storage().put_bytes(layout.source(job.job_id), b"sound")
    storage().put_bytes(layout.artefact(job.job_id, "transcription.srt"), b"1")
    return World(app.test_client(), job)


def _waiting(world: World) -> str:
    return world.submit().json["job_id"]


def _cancelled(world: World) -> str:
    job_id = _waiting(world)
    world.browser.post(f"{API}/jobs/{job_id}/cancel")
    return job_id


def _delivery(world: World) -> DeliveryRow:
    row = DeliveryRow(
        id=uuid.uuid4(),
        job_id=world.job.job_id,
        event="job.completed",
        url="https://example.org/",
        payload="{}",
        state=DeliveryState.DELIVERED,
        created_at=clock.utc_now(),
    )
    with transaction() as session:
        session.add(row)
    return row


def _process(world: World) -> TestResponse:
    folder = settings().transcribe_data_dir
    (folder / "a.wav").write_bytes(build_recording().getvalue())
    asked = {"file_path": str(folder / "a.wav"), "output_dir": str(folder / "out")}
    return world.browser.post("/process", json=asked)


def _do(job_id: str) -> None:
    """What the workers do."""
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=0, shards=0)
    begin_merge(job_id)
    complete_job(job_id)


def _transcribed(world: World) -> TestResponse:
    """A caller waits, and meanwhile the job is done."""
    with ThreadPoolExecutor() as others:
        form = {"file": (build_recording(), "a.wav"), "model": "whisper-1"}
        answer = others.submit(world.browser.post, "/v1/audio/transcriptions", data=form)
        while not (waiting := world.get("jobs?status=queued").json["jobs"]):
            time.sleep(0.05)
        _do(waiting[0]["job_id"])
        return answer.result()


def _replay(row: DeliveryRow) -> str:
    return f"{API}/jobs/{row.job_id}/deliveries/{row.id}/replay"


def _of_named(kind: str) -> dict[str, Callable[[World], TestResponse]]:
    whole = {"name": "Tuesday"}
    return {
        f"{kind}_create 201": lambda w: w.browser.post(f"{API}/{kind}", json=whole),
        f"{kind}_list_all 200": lambda w: (w.named(kind), w.get(kind))[1],
        f"{kind}_show 200": lambda w: w.browser.get(w.named(kind)),
        f"{kind}_replace 200": lambda w: w.browser.put(w.named(kind), json=whole),
        f"{kind}_change 200": lambda w: w.browser.patch(w.named(kind), json={}),
        f"{kind}_delete 204": lambda w: w.browser.delete(w.named(kind)),
    }


#: What all is well with, by operation and status.
WELL: dict[str, Callable[[World], TestResponse]] = {
    **_of_named("sessions"),
    **_of_named("contexts"),
    "jobs_create 202": lambda w: w.submit(),
    "jobs_create_asr 202": lambda w: w.submit("/asr"),
    "jobs_create_whisperx 202": lambda w: w.submit("/whisperx"),
    "jobs_show_all 200": lambda w: w.get("jobs"),
    "jobs_show 200": lambda w: w.get(f"jobs/status/{w.job.job_id}"),
    "jobs_follow 200": lambda w: w.get(f"jobs/stream/{w.job.job_id}"),
    "jobs_cancel 200": lambda w: w.browser.post(f"{API}/jobs/{_waiting(w)}/cancel"),
    "jobs_retry 202": lambda w: w.browser.post(f"{API}/jobs/{_cancelled(w)}/retry"),
    "jobs_delete 204": lambda w: w.browser.delete(f"{API}/jobs/{w.job.job_id}"),
    "results_show 200": lambda w: w.get(f"jobs/result/{w.job.job_id}"),
    "results_download 200": lambda w: w.get(f"jobs/result/{w.job.job_id}/srt"),
    "results_list_artefacts 200": lambda w: w.get(f"jobs/artefacts/{w.job.job_id}"),
    "results_artefact 200": lambda w: w.get(f"jobs/artefacts/{w.job.job_id}/transcription.srt"),
    "results_artefact 206": lambda w: w.browser.get(
        f"{API}/jobs/artefacts/{w.job.job_id}/transcription.srt", headers=FIRST_BYTE
    ),
    "results_audio 200": lambda w: w.browser.get(w.audio()),
    "results_audio 206": lambda w: w.browser.get(w.audio(), headers=FIRST_BYTE),
    "transcripts_name_speakers 200": lambda w: w.browser.patch(
        f"{API}/transcripts/{w.job.transcript_id}/speakers", json={"names": {"0": "Ana"}}
    ),
    "transcripts_change_segment 200": lambda w: w.browser.patch(
        f"{API}/transcripts/{w.job.transcript_id}/segments/0", json={"text": "Hello there."}
    ),
    "webhooks_secret 200": lambda w: w.get("webhooks/secret"),
    "webhooks_deliveries 200": lambda w: w.get(f"jobs/{_delivery(w).job_id}/deliveries"),
    "webhooks_replay 202": lambda w: w.browser.post(_replay(_delivery(w))),
    "tokens_create 200": lambda w: w.browser.post(f"{API}/auth/token"),
    "openai_transcribe 200": _transcribed,
    "openai_show_models 200": lambda w: w.browser.get("/v1/models"),
    "openai_show_model 200": lambda w: w.browser.get("/v1/models/sphinx"),
    "engines_show 200": lambda w: w.get("jobs/engines"),
    "legacy_process 202": _process,
    "legacy_status 200": lambda w: w.browser.get(f"/status/{w.job.job_id}"),
    "system_show 200": lambda w: w.get("system/status"),
    "system_metrics 200": lambda w: w.browser.get("/metrics"),
    "health_alive 200": lambda w: w.browser.get("/healthz"),
    "health_ready 503": lambda w: w.browser.get("/readyz"),
}


def test_the_table_below_knows_every_good_answer(document: dict):
    told = {
        f"{operation['operationId']} {status}"
        for _, operation in operations(document)
        for status in operation["responses"]
        if status < "300"
    }
    assert told - {"health_ready 200"} == set(WELL) - {"health_ready 503"}


@pytest.mark.parametrize("name", WELL)
def test_every_good_answer_is_as_documented(world: World, name: str):
    answer = WELL[name](world)  # the client compares it with the document
    assert answer.status_code == int(name.split()[1]), answer.text


@pytest.mark.parametrize("format", ["json", "srt", "vtt", "txt", "tsv", "rttm", "docx"])
def test_every_format_is_as_documented(world: World, format: str):
    assert world.get(f"jobs/result/{world.job.job_id}/{format}").status_code == 200


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (({"status": "ok"}, 202), "202, which is not documented"),
        (("ok", 200, {"Content-Type": "text/plain"}), "as text/plain"),
        ({"status": "fine"}, "another shape"),
        ({"status": "ok", "more": 1}, "another shape"),
        ({}, "another shape"),
    ],
)
def test_an_answer_that_is_not_documented_fails_the_test(app: Flask, answer, complaint: str):
    bp = Blueprint("odd", __name__)
    bp.get("/odd")(route_docs.document_route(Answer(200, Alive))(lambda: answer))
    app.register_blueprint(bp)
    with pytest.raises(AssertionError, match=complaint):
        app.test_client().get("/odd")
