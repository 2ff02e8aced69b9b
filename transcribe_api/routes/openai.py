"""The audio API of OpenAI: their clients work when their ``base_url`` is set to ours and ``/v1``.

The caller waits for the whole recording, however long it is, as those clients do; the job behind it
is one like all others.
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

from core import awaited, jobs
from core.db import reading
from core.errors import InvalidInput, TranscribeError
from core.specs import JobSpec
from core.states import JobStatus
from transcribe_api import (
    access,
    errors,
    following,
    known_fields,
    openai_answers,
    openai_models,
    parse,
    sources,
    streams,
)
from transcribe_api.documented import Answer, documented
from transcribe_api.hub import Place, hub
from transcribe_api.joining import join_or_submit
from transcribe_api.schemas.openai import (
    Model,
    Models,
    TheirProblem,
    Transcription,
    TranscriptionEvent,
    TranscriptionForm,
)
from transcribe_api.sources import Source
from transcribe_api.staying import Welcome
from transcribe_api.uploads import StreamingRequest
from transcribe_api.waiting_caller import waiting_caller
from transcripts.spacing import gap

bp = Blueprint("openai", __name__, url_prefix="/v1")

#: A comment, which clients pass over: it keeps proxies from closing the stream.
_STILL_HERE = ": still here\n\n"

#: What became of a recording that could not be transcribed; see `core.errors`.
_OURS_TO_ANSWER_FOR = {"internal_error", "engine_failed", "worker_lost", "unavailable"}


class JobFailed(TranscribeError):
    """The job that a caller waits for was not completed."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    spec: JobSpec
    form: str
    granularities: tuple[str, ...]
    stream: bool


#: Fields of OpenAI's that have no effect here.
_IGNORED = (
    "temperature", "include", "include[]", "chunking_strategy", "keywords",
    "known_speaker_names", "known_speaker_names[]",
    "known_speaker_references", "known_speaker_references[]",
)  # fmt: skip
_FIELDS = (
    *known_fields.names_of(TranscriptionForm), "timestamp_granularities", *_IGNORED,
)  # fmt: skip
#: Names what was passed over.
_IGNORED_HEADER = "X-Ignored-Fields"

_REFUSED = (400, 401, 403, 404, 408, 413, 421, 429, 503, 507)
#: Every refusal of these routes, in the shape that their clients read.
_REFUSALS = tuple(Answer(status, TheirProblem) for status in _REFUSED)
_TRANSCRIPTION = Answer(
    200,
    Transcription,
    media=("text/plain", "text/vtt", "application/x-subrip"),
    events=TranscriptionEvent,
)


@bp.post("/audio/transcriptions")
@documented(_TRANSCRIPTION, *_REFUSALS, Answer(500, TheirProblem), form=TranscriptionForm)
def transcribe() -> ResponseReturnValue:
    """Transcribe a recording, and answer when that is done, or while it is with ``stream=true``."""
    source = sources.received(cast(StreamingRequest, request))
    known_fields.refuse_unknown(request.form, _FIELDS)
    after_this_request(_name_ignored)
    asked = _asked(request.form)
    if asked.stream:
        # The first event is sent by when the job is there: what is refused is no stream.
        events = streams.begun(_events(asked, source))
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return Response(events, mimetype="text/event-stream", headers=headers)
    with hub.place(access.caller().key_id) as place:
        job_id = join_or_submit(asked.spec, source)
        _wait(job_id, waiting_caller(job_id), place)
    return _answer(job_id, asked)


@bp.get("/models")
@documented(Answer(200, Models), *_REFUSALS)
def show_models() -> ResponseReturnValue:
    """The models that a worker has now."""
    return jsonify({"object": "list", "data": openai_models.served()})


@bp.get("/models/<path:model>")
@documented(Answer(200, Model), *_REFUSALS)
def show_model(model: str) -> ResponseReturnValue:
    """One model, be it served now or not."""
    openai_models.meant(model)
    return jsonify(openai_models.told(model))


def _name_ignored(response: Response) -> Response:
    if ignored := [name for name in _IGNORED if name in request.form]:
        response.headers[_IGNORED_HEADER] = ", ".join(ignored)
    return response


def _asked(form: MultiDict[str, str]) -> Asked:
    shape = form.get("response_format") or "json"
    if shape not in openai_answers.MEDIA:
        allowed = ", ".join(openai_answers.MEDIA)
        raise InvalidInput(
            f"response_format: {shape!r} is not known; allowed: {allowed}", field="response_format"
        )
    return Asked(
        spec=_spec(form, wants_speakers=shape == openai_answers.DIARIZED),
        form=shape,
        granularities=_granularities(form),
        stream=parse.flag(form, "stream", default=False),
    )


def _spec(form: MultiDict[str, str], *, wants_speakers: bool) -> JobSpec:
    if not form.get("model"):
        known = ", ".join(openai_models.known())
        raise InvalidInput(f"model: say which one; allowed: {known}", field="model")
    engine, model = openai_models.meant(form["model"])
    fields = {
        "language": form.get("language", ""),
        "model": model or "",
        "initial_prompt": form.get("prompt", ""),
        "diarizer": "" if wants_speakers else parse.NO_DIARIZER,
    }
    return parse.job(fields, engine)


def _granularities(form: MultiDict[str, str]) -> tuple[str, ...]:
    field = "timestamp_granularities[]"
    asked = tuple(form.getlist(field) + form.getlist(field.removesuffix("[]"))) or ("segment",)
    for one in asked:
        if one not in openai_answers.GRANULARITIES:
            allowed = ", ".join(openai_answers.GRANULARITIES)
            raise InvalidInput(f"{field}: {one!r} is not known; allowed: {allowed}", field=field)
    return asked


def _wait(job_id: str, is_welcome: Welcome, place: Place) -> None:
    state = following.until_over(job_id, is_welcome, place)
    awaited.forget(job_id)
    _refuse_failed(state)


def _refuse_failed(state: dict[str, Any]) -> None:
    if state["status"] != JobStatus.COMPLETED:
        code = (state["error"] or {}).get("code", state["status"])
        raise JobFailed(state["message"], code)


def _answer(job_id: str, asked: Asked) -> Response:
    with reading() as session:
        transcript = jobs.get(session, job_id).transcript
        told = openai_answers.answer(transcript, asked.form, asked.granularities)
    body = told if isinstance(told, str) else json.dumps(told)
    return Response(body, content_type=openai_answers.MEDIA[asked.form])


def _events(asked: Asked, source: Source) -> Iterator[str]:
    # A place first: a caller who cannot be told anything must not leave a job behind.
    with hub.place(access.caller().key_id) as place:
        job_id = join_or_submit(asked.spec, source)
        is_welcome = waiting_caller(job_id)
        yield _STILL_HERE
        try:
            yield from _deltas(job_id, is_welcome, place)
            _wait(job_id, is_welcome, place)
            yield from _ending(job_id, asked)
        except TranscribeError as error:
            yield _event(_refused(error).get_json())


def _deltas(job_id: str, is_welcome: Welcome, place: Place) -> Iterator[str]:
    before = ""
    for some in following.heard_in_order(job_id, is_welcome, place):
        if not some:
            yield _STILL_HERE
        for heard in some:
            said = json.loads(heard)["text"]
            if said:
                between = gap(before, said) if before else ""
                yield _event({"type": "transcript.text.delta", "delta": between + said})
                before = said


def _ending(job_id: str, asked: Asked) -> Iterator[str]:
    """The whole text as it came to be: where two chunks overlap, the pieces told it twice."""
    with reading() as session:  # and closed before a listener, who may be slow, is sent anything
        transcript = jobs.get(session, job_id).transcript
        wanted = asked.form == openai_answers.DIARIZED
        segments = openai_answers.speaker_segments(transcript) if wanted else []
        text = openai_answers.text(transcript)
    yield from map(_event, segments)
    yield _event({"type": "transcript.text.done", "text": text})
    yield "data: [DONE]\n\n"


def _event(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told)}\n\n"


@bp.errorhandler(TranscribeError)
def _refused(error: TranscribeError) -> Response:
    response = errors.answer(error)
    refused = _theirs(response, _status(error, response.status_code))
    if isinstance(error, JobFailed):
        # It was tried again already: clients of OpenAI's would only make more jobs that fail.
        refused.headers["X-Should-Retry"] = "false"
    return refused


@bp.errorhandler(HTTPException)
def _refused_by_http(error: HTTPException) -> Response:
    return _theirs(errors.of_http(error), error.code or 500)


@bp.app_errorhandler(HTTPStatus.NOT_FOUND)
@bp.app_errorhandler(HTTPStatus.METHOD_NOT_ALLOWED)
def _refused_unrouted(error: HTTPException) -> Response:
    """What no route takes is no blueprint's: under our prefix it is answered as the rest is."""
    is_ours = request.path.startswith(f"{bp.url_prefix}/")
    return _refused_by_http(error) if is_ours else errors.of_http(error)


def _status(error: TranscribeError, ours: int) -> int:
    """Their clients know 400 where we say 422."""
    if isinstance(error, JobFailed):
        return 500 if error.code in _OURS_TO_ANSWER_FOR else 400
    return 400 if ours == 422 else ours


def _theirs(response: Response, status: int) -> Response:
    """The same refusal in OpenAI's shape."""
    told = {"error": _shape(response.get_json(), status)}
    kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
    return Response(json.dumps(told), status, headers=kept, mimetype="application/json")


_KEPT = ("Retry-After", "WWW-Authenticate", "Allow")
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def _shape(problem: dict[str, Any], status: int) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "message": problem["detail"],
        "type": _KINDS.get(status, kind),
        "param": problem.get("field"),
        "code": problem["code"],
    }
