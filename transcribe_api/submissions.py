"""Submissions: what is asked for becomes a job, once, and is sent on its way."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import jsonify, request, url_for
from flask.typing import ResponseReturnValue
from kombu.exceptions import OperationalError

from core import idempotency, jobs, layout, metrics, progress, serving
from core.db import reading, transaction
from core.errors import InvalidInput, Unavailable
from core.models import ContextRow, Named, SessionRow
from core.specs import JobSpec
from core.storage import storage
from engines import catalog
from tasks import pipeline
from transcribe_api import access, render
from transcribe_api.sources import Source
from transcripts.warning import TranscriptWarning, WarningCode

log = structlog.get_logger(__name__)

#: As HTTP has it: visible ASCII, no spaces.
_KEY = re.compile(r"[!-~]{1,255}")


def idempotency_key() -> str | None:
    """The name that the caller gave to the present request. Raises `InvalidInput`."""
    key = request.headers.get(idempotency.HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput(
            f"{idempotency.HEADER}: 1 to 255 visible ASCII characters are allowed",
            field=idempotency.HEADER,
        )
    return key


def answered(spec: JobSpec, source: Source) -> ResponseReturnValue:
    """The answer to a request to have a recording transcribed."""
    told, replayed = submitted(spec, source)
    headers = {"Location": url_for("jobs.show", job_id=told["job_id"])}
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return jsonify(told), 202, headers


def submitted(
    spec: JobSpec,
    source: Source,
    body: Mapping[str, str] | None = None,
    named: idempotency.Request | None = None,
) -> tuple[dict[str, Any], bool]:
    """Have the recording transcribed, unless the same request has already seen to that.

    Gives what is told of the job, and whether it was there before. *body*: what was asked for, if
    not by a form. *named*: how the request is known again, if not by the key that its caller gave
    it.
    """
    named = named or named_request(source, request.form if body is None else body)
    if named and (told := _answer_to(named)):
        return told, True
    _refuse_foreign(spec)
    source.check()
    job_id = str(uuid.uuid4())
    structlog.contextvars.bind_contextvars(job_id=job_id)
    try:
        told = _accept(job_id, spec, source, named)
        metrics.ACCEPTED.labels(spec.engine).inc()
    except idempotency.Taken:
        return _answer_of_the_faster(named), True
    progress.tell(job_id)
    send(pipeline.start, job_id)
    return told, False


def send(way: Callable[[str], None], job_id: str) -> None:
    """Send a job on its way; should the broker be down, housekeeping sends it later."""
    try:
        way(job_id)
    except OperationalError:
        log.warning("job waits for the broker", job_id=job_id)


def named_request(source: Source, asked_for: Mapping[str, str]) -> idempotency.Request | None:
    """The present request by the name that its caller gave it, if it did."""
    key = idempotency_key()
    if key is None:
        return None
    return idempotency.Request(access.caller().owner, key, fingerprint(source, asked_for))


def fingerprint(source: Source, asked_for: Mapping[str, str]) -> str:
    """The same for the same recording and the same fields, under the same address."""
    # The form as it came, and not what it stands for today: defaults may change with the workers.
    # Part of a form may have no name.
    told = {name: value.strip() for name, value in asked_for.items() if name}
    fields = {name: value for name, value in told.items() if value}
    asked = {
        "route": request.path,
        "fields": fields,
        "file": [source.filename, source.sha256],
    }
    return idempotency.fingerprint(asked)


def _answer_to(named: idempotency.Request) -> dict[str, Any] | None:
    with reading() as session:
        return idempotency.answer_to(session, named)


def _answer_of_the_faster(named: idempotency.Request | None) -> dict[str, Any]:
    told = named and _answer_to(named)
    if not told:  # its job is deleted already
        raise Unavailable("the same request was under way; send it again")
    return told


def _refuse_foreign(spec: JobSpec) -> None:
    """What is not here is a caller's own affair, but what is somebody else's is not."""
    sees = access.caller().sees
    named: tuple[tuple[type[Named], str | None], ...] = (
        (SessionRow, spec.session_id),
        (ContextRow, spec.context_id),
    )
    with reading() as session:
        for kind, row_id in named if sees else ():
            row = session.get(kind, uuid.UUID(row_id)) if row_id else None
            if row is not None and row.owner_id != sees:
                field = f"{kind.called}_id"
                raise InvalidInput(f"{field}: {row_id} is not yours", field=field)


def _accept(
    job_id: str, spec: JobSpec, source: Source, named: idempotency.Request | None
) -> dict[str, Any]:
    size = source.size()
    source.keep(job_id)
    try:
        with transaction() as session:
            job = jobs.accept(
                session,
                job_id,
                spec,
                filename=source.filename,
                audio_bytes=size,
                audio_sha256=source.sha256,
                warnings=[*_unserved(spec), *_unused(spec)],
                owner=access.caller().owner,
            )
            told = render.accepted(job)
            if named:
                idempotency.keep(session, named, job_id, told)
            return told
    except BaseException:
        # Without its row nobody would ever find the object again.
        storage().delete(layout.root(job_id))
        raise


def _unused(spec: JobSpec) -> list[TranscriptWarning]:
    """What was asked for and has no effect."""
    ignored = []
    if spec.initial_prompt and not catalog.recognizer(spec.engine).prompts:
        ignored.append(f"the engine {spec.engine} reads no initial_prompt; it has no effect")
    if spec.diarizer is None and (spec.min_speakers or spec.max_speakers):
        ignored.append("no speakers are looked for: how many there are has no effect")
    return [TranscriptWarning(WarningCode.OPTION_IGNORED, sentence) for sentence in ignored]


def _unserved(spec: JobSpec) -> list[TranscriptWarning]:
    queues = [catalog.recognizer(spec.engine).queue]
    if spec.diarizer:
        queues.append(catalog.diarizer(spec.diarizer).queue)
    return [
        TranscriptWarning(
            WarningCode.NO_WORKER, f"no worker serves the queue {queue} now; the job waits for one"
        )
        for queue in queues
        if not serving.is_served(queue)
    ]
