"""OpenAI's audio API: their clients work with `base_url` set to this service and `/v1`.

As those clients expect, the caller waits until the whole recording is transcribed, however long it
is. The request creates an ordinary job.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from flask import Blueprint, Response, after_this_request, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from core.db.transactions import read_session
from core.errors import InvalidInput, TranscribeError
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.live import waiting_callers
from core.states import JobStatus
from tasks.reporting.job_state import JobState
from transcribe_api.http.auth import guard
from transcribe_api.http.auth.access_recheck import AccessCheck
from transcribe_api.http.events import job_waiting
from transcribe_api.http.events.caller_connection import build_caller_check
from transcribe_api.http.events.event_broker import ListenerSlot, job_events
from transcribe_api.http.requests import known_fields, parsing
from transcribe_api.http.requests.uploads import StreamingRequest
from transcribe_api.http.responses import openai_formats, problems, streaming
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.openai import (
    Model,
    Models,
    OpenaiProblem,
    TranscriptionEvent,
    TranscriptionForm,
    TranscriptionResponse,
)
from transcribe_api.submission import openai_models, sources
from transcribe_api.submission.joining import join_or_submit
from transcribe_api.submission.sources import Source
from transcripts.spacing import find_separator

bp = Blueprint("openai", __name__, url_prefix="/v1")

#: A comment, which clients ignore: it keeps proxies from closing the stream.
_KEEPALIVE_COMMENT = ": still here\n\n"

#: Job errors that are not the caller's fault; see `core.errors`.
_SERVER_FAULTS = {"internal_error", "engine_failed", "worker_lost", "unavailable"}


class JobFailed(TranscribeError):
    """The job that a caller waits for did not complete."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """A parsed request."""

    spec: JobSpec
    response_format: str
    granularities: tuple[str, ...]
    stream: bool


#: OpenAI's fields that have no effect here.
_IGNORED_FIELDS = (
    "temperature", "include", "include[]", "chunking_strategy", "keywords",
    "known_speaker_names", "known_speaker_names[]",
    "known_speaker_references", "known_speaker_references[]",
)  # fmt: skip
_FIELDS = (
    *known_fields.list_field_names(TranscriptionForm), "timestamp_granularities", *_IGNORED_FIELDS,
)  # fmt: skip
#: Header that lists the ignored fields.
_IGNORED_HEADER = "X-Ignored-Fields"

_ERROR_STATUSES = (400, 401, 403, 404, 408, 413, 421, 429, 503, 507)
#: All errors of these routes, in the form that their clients expect.
_REFUSALS = tuple(Answer(status, OpenaiProblem) for status in _ERROR_STATUSES)
_TRANSCRIPTION = Answer(
    200,
    TranscriptionResponse,
    media=("text/plain", "text/vtt", "application/x-subrip"),
    events=TranscriptionEvent,
)


@bp.post("/audio/transcriptions")
@document_route(_TRANSCRIPTION, *_REFUSALS, Answer(500, OpenaiProblem), form=TranscriptionForm)
def transcribe() -> ResponseReturnValue:
    """Transcribe a recording; respond at the end, or during transcription with ``stream=true``."""
    source = sources.receive_source(cast(StreamingRequest, request))
    known_fields.refuse_unknown(request.form, _FIELDS)
    after_this_request(_add_ignored_header)
    transcription_request = _parse_request(request.form)
    if transcription_request.stream:
        # The first event is sent when the job exists, so a refusal is an error response.
        events = streaming.prefetch_first(_stream_events(transcription_request, source))
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return Response(events, mimetype="text/event-stream", headers=headers)
    with job_events.reserve_slot(guard.caller().key_id) as slot:
        job_id = join_or_submit(transcription_request.spec, source)
        _wait_for_job(job_id, build_caller_check(job_id), slot)
    return _render_answer(job_id, transcription_request)


@bp.get("/models")
@document_route(Answer(200, Models), *_REFUSALS)
def show_models() -> ResponseReturnValue:
    """List the models that a worker can use now."""
    return jsonify({"object": "list", "data": openai_models.list_served_models()})


@bp.get("/models/<path:model>")
@document_route(Answer(200, Model), *_REFUSALS)
def show_model(model: str) -> ResponseReturnValue:
    """Return one model, whether it is served now or not."""
    openai_models.resolve_model(model)
    return jsonify(openai_models.describe_model(model))


def _add_ignored_header(response: Response) -> Response:
    if ignored := [name for name in _IGNORED_FIELDS if name in request.form]:
        response.headers[_IGNORED_HEADER] = ", ".join(ignored)
    return response


def _parse_request(form: MultiDict[str, str]) -> TranscriptionRequest:
    response_format = form.get("response_format") or "json"
    if response_format not in openai_formats.MEDIA_TYPES:
        allowed = ", ".join(openai_formats.MEDIA_TYPES)
        raise InvalidInput(
            f"response_format: {response_format!r} is unknown; allowed: {allowed}",
            field="response_format",
        )
    return TranscriptionRequest(
        spec=_build_spec(form, wants_speakers=response_format == openai_formats.DIARIZED),
        response_format=response_format,
        granularities=_parse_granularities(form),
        stream=parsing.parse_flag(form, "stream", default=False),
    )


def _build_spec(form: MultiDict[str, str], *, wants_speakers: bool) -> JobSpec:
    if not form.get("model"):
        allowed_models = ", ".join(openai_models.list_models())
        raise InvalidInput(f"model: required; allowed: {allowed_models}", field="model")
    engine, model = openai_models.resolve_model(form["model"])
    fields = {
        "language": form.get("language", ""),
        "model": model or "",
        "initial_prompt": form.get("prompt", ""),
        "track": form.get("track", ""),
        "diarizer": "" if wants_speakers else parsing.NO_DIARIZER,
    }
    return parsing.parse_job(fields, engine)


def _parse_granularities(form: MultiDict[str, str]) -> tuple[str, ...]:
    field = "timestamp_granularities[]"
    granularities = tuple(form.getlist(field) + form.getlist(field.removesuffix("[]"))) or (
        "segment",
    )
    for granularity in granularities:
        if granularity not in openai_formats.GRANULARITIES:
            allowed = ", ".join(openai_formats.GRANULARITIES)
            raise InvalidInput(
                f"{field}: {granularity!r} is unknown; allowed: {allowed}", field=field
            )
    return granularities


def _wait_for_job(job_id: str, has_access: AccessCheck, slot: ListenerSlot) -> None:
    state = job_waiting.wait_until_over(job_id, has_access, slot)
    waiting_callers.forget_job(job_id)
    _refuse_failed(state)


def _refuse_failed(state: JobState) -> None:
    if state.status is not JobStatus.COMPLETED:
        raise JobFailed(state.message, state.error.code if state.error else str(state.status))


def _render_answer(job_id: str, transcription_request: TranscriptionRequest) -> Response:
    with read_session() as session:
        transcript = lifecycle.get_job(session, job_id).transcript
        rendered = openai_formats.render_transcript(
            transcript, transcription_request.response_format, transcription_request.granularities
        )
    body = rendered if isinstance(rendered, str) else json.dumps(rendered)
    return Response(
        body, content_type=openai_formats.MEDIA_TYPES[transcription_request.response_format]
    )


def _stream_events(transcription_request: TranscriptionRequest, source: Source) -> Iterator[str]:
    # Reserve a slot first: without one, a request must not leave a job behind.
    with job_events.reserve_slot(guard.caller().key_id) as slot:
        job_id = join_or_submit(transcription_request.spec, source)
        has_access = build_caller_check(job_id)
        yield _KEEPALIVE_COMMENT
        try:
            yield from _stream_deltas(job_id, has_access, slot)
            _wait_for_job(job_id, has_access, slot)
            yield from _stream_ending(job_id, transcription_request)
        except TranscribeError as error:
            yield _format_event(_answer_error(error).get_json())


def _stream_deltas(job_id: str, has_access: AccessCheck, slot: ListenerSlot) -> Iterator[str]:
    previous = ""
    for batch in job_waiting.follow_transcriptions(job_id, has_access, slot):
        if not batch:
            yield _KEEPALIVE_COMMENT
        for chunk_json in batch:
            text = json.loads(chunk_json)["text"]
            if text:
                separator = find_separator(previous, text) if previous else ""
                yield _format_event({"type": "transcript.text.delta", "delta": separator + text})
                previous = text


def _stream_ending(job_id: str, transcription_request: TranscriptionRequest) -> Iterator[str]:
    """Yield the final text; deltas repeat words where two chunks overlap."""
    # Close the session before anything is sent to a client, which may be slow.
    with read_session() as session:
        transcript = lifecycle.get_job(session, job_id).transcript
        has_speakers = transcription_request.response_format == openai_formats.DIARIZED
        segments = openai_formats.render_speaker_segments(transcript) if has_speakers else []
        text = openai_formats.join_text(transcript)
    yield from map(_format_event, segments)
    yield _format_event({"type": "transcript.text.done", "text": text})
    yield "data: [DONE]\n\n"


def _format_event(payload: dict[str, Any]) -> str:
    return f"data: {json.dumps(payload)}\n\n"


@bp.errorhandler(TranscribeError)
def _answer_error(error: TranscribeError) -> Response:
    response = problems.answer_error(error)
    translated = _translate_problem(response, _translate_status(error, response.status_code))
    if isinstance(error, JobFailed):
        # The service already retried: OpenAI's clients would only create more failing jobs.
        translated.headers["X-Should-Retry"] = "false"
    return translated


@bp.errorhandler(HTTPException)
def _answer_http_error(error: HTTPException) -> Response:
    return _translate_problem(problems.answer_http_error(error), error.code or 500)


@bp.app_errorhandler(HTTPStatus.NOT_FOUND)
@bp.app_errorhandler(HTTPStatus.METHOD_NOT_ALLOWED)
def _answer_unrouted(error: HTTPException) -> Response:
    """Answer unmatched routes under our prefix in our error format; they have no blueprint."""
    is_ours = request.path.startswith(f"{bp.url_prefix}/")
    return _answer_http_error(error) if is_ours else problems.answer_http_error(error)


def _translate_status(error: TranscribeError, http_status: int) -> int:
    """Return OpenAI's status for an error: their clients expect 400 instead of 422."""
    if isinstance(error, JobFailed):
        return 500 if error.code in _SERVER_FAULTS else 400
    return 400 if http_status == 422 else http_status


def _translate_problem(response: Response, status: int) -> Response:
    """Return the same error in OpenAI's form."""
    payload = {"error": _translate_fields(response.get_json(), status)}
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Response(json.dumps(payload), status, headers=headers, mimetype="application/json")


_KEPT_HEADERS = ("Retry-After", "WWW-Authenticate", "Allow")
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def _translate_fields(problem: dict[str, Any], status: int) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "message": problem["detail"],
        "type": _ERROR_TYPES.get(status, kind),
        "param": problem.get("field"),
        "code": problem["code"],
    }
