"""Submissions: create one job per request, and send it to the queue."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import jsonify, request, url_for
from flask.typing import ResponseReturnValue
from kombu.exceptions import OperationalError
from sqlalchemy.orm import Session

from core import metrics
from core.access import idempotency, user_resources
from core.db.models import ContextRow, SessionRow, UserResource
from core.db.transactions import read_session, transaction
from core.errors import InvalidInput, Unavailable
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.live import worker_registry
from core.storage import layout, storage
from engines import catalog
from tasks import pipeline
from tasks.reporting import progress
from transcribe_api.http.auth import guard
from transcribe_api.http.responses import rendering
from transcribe_api.submission.sources import Source
from transcripts.warning import TranscriptWarning, WarningCode

log = structlog.get_logger(__name__)

#: As in HTTP: visible ASCII, no spaces.
_IDEMPOTENCY_KEY_PATTERN = re.compile(r"[!-~]{1,255}")


def read_idempotency_key() -> str | None:
    """Return the idempotency key of the current request. Raises `InvalidInput`."""
    key = request.headers.get(idempotency.HEADER)
    if key is not None and not _IDEMPOTENCY_KEY_PATTERN.fullmatch(key):
        raise InvalidInput(
            f"{idempotency.HEADER}: 1 to 255 visible ASCII characters are allowed",
            field=idempotency.HEADER,
        )
    return key


def answer_submission(spec: JobSpec, source: Source) -> ResponseReturnValue:
    """Submit a recording, and return the response."""
    response, is_replayed = submit(spec, source)
    headers = {"Location": url_for("jobs.show", job_id=response["job_id"])}
    if is_replayed:
        headers["Idempotency-Replayed"] = "true"
    return jsonify(response), 202, headers


def submit(
    spec: JobSpec,
    source: Source,
    body: Mapping[str, str] | None = None,
    identity: idempotency.IdempotentRequest | None = None,
) -> tuple[dict[str, Any], bool]:
    """Submit the recording, unless the same request already has a job.

    Return the description of the job, and whether it existed before. *body*: the options, if not
    from a form. *identity*: identifies the request, if not by its idempotency key.
    """
    identity = identity or identify_request(source, request.form if body is None else body)
    if identity and (response := _find_answer(identity)):
        return response, True
    _refuse_foreign_references(spec)
    source.check(spec.track)
    job_id = str(uuid.uuid4())
    structlog.contextvars.bind_contextvars(job_id=job_id)
    try:
        response = _accept_job(job_id, spec, source, identity)
        metrics.ACCEPTED.labels(spec.engine).inc()
    except idempotency.DuplicateKey:
        return _read_concurrent_answer(identity), True
    progress.publish_status(job_id)
    send_job(pipeline.start_job, job_id)
    return response, False


def send_job(start_step: Callable[[str], None], job_id: str) -> None:
    """Send a job to the queue; if the broker is down, housekeeping sends it later."""
    try:
        start_step(job_id)
    except OperationalError:
        log.warning("job waits for the broker", job_id=job_id)


def identify_request(
    source: Source, options: Mapping[str, str]
) -> idempotency.IdempotentRequest | None:
    """Identify the current request by its idempotency key, or return None."""
    key = read_idempotency_key()
    if key is None:
        return None
    return idempotency.IdempotentRequest(
        guard.caller().owner, key, compute_fingerprint(source, options)
    )


def compute_fingerprint(source: Source, options: Mapping[str, str]) -> str:
    """Return a hash that is equal for the same recording, fields and route."""
    # Hash the form as sent, not its interpretation: defaults may change with the workers. A part of
    # a form may have no name.
    stripped = {name: value.strip() for name, value in options.items() if name}
    fields = {name: value for name, value in stripped.items() if value}
    content = {
        "route": request.path,
        "fields": fields,
        "file": [source.filename, source.sha256],
    }
    return idempotency.compute_fingerprint(content)


def _find_answer(identity: idempotency.IdempotentRequest) -> dict[str, Any] | None:
    with read_session() as session:
        return idempotency.find_response(session, identity)


def _read_concurrent_answer(identity: idempotency.IdempotentRequest | None) -> dict[str, Any]:
    response = identity and _find_answer(identity)
    if not response:  # its job was deleted already
        raise Unavailable("the same request was in progress; send it again")
    return response


def _refuse_foreign_references(spec: JobSpec) -> None:
    """Refuse references to other owners' rows; references to missing rows are allowed."""
    visible_owner = guard.caller().visible_owner
    references: tuple[tuple[type[UserResource], str | None], ...] = (
        (SessionRow, spec.session_id),
        (ContextRow, spec.context_id),
    )
    with read_session() as session:
        for kind, row_id in references if visible_owner else ():
            row = session.get(kind, uuid.UUID(row_id)) if row_id else None
            if row is not None and row.owner_id != visible_owner:
                field = f"{kind.noun}_id"
                raise InvalidInput(f"{field}: {row_id} belongs to another owner", field=field)


def _accept_job(
    job_id: str, spec: JobSpec, source: Source, identity: idempotency.IdempotentRequest | None
) -> dict[str, Any]:
    size = source.size()
    source.store(job_id)
    try:
        with transaction() as session:
            job = lifecycle.accept_job(
                session,
                job_id,
                spec,
                filename=source.filename,
                audio_bytes=size,
                audio_sha256=source.sha256,
                warnings=[*_list_unserved_warnings(spec), *_list_unused_warnings(session, spec)],
                owner_id=guard.caller().owner,
            )
            response = rendering.render_accepted(job)
            if identity:
                idempotency.store_response(session, identity, job_id, response)
            return response
    except BaseException:
        # Without its row, nothing would ever delete the object.
        storage().delete(layout.job_prefix(job_id))
        raise


def _list_unused_warnings(session: Session, spec: JobSpec) -> list[TranscriptWarning]:
    """The options of a request that have no effect."""
    ignored, engine = [], catalog.recognizer(spec.engine)
    if spec.context_id and not engine.phrases and _has_phrases(session, spec.context_id):
        ignored.append(
            f"the engine {spec.engine} does not support terms of a context; they have no effect"
        )
    if spec.initial_prompt and not engine.prompts:
        ignored.append(
            f"the engine {spec.engine} does not support initial_prompt; it has no effect"
        )
    if spec.diarizer is None and (spec.min_speakers or spec.max_speakers):
        ignored.append("speakers are not detected, so their number has no effect")
    return [TranscriptWarning(WarningCode.OPTION_IGNORED, sentence) for sentence in ignored]


def _has_phrases(session: Session, context_id: str) -> bool:
    owner_id = guard.caller().owner
    return bool(user_resources.find_phrases(session, uuid.UUID(context_id), owner_id))


def _list_unserved_warnings(spec: JobSpec) -> list[TranscriptWarning]:
    queues = [catalog.recognizer(spec.engine).queue]
    if spec.diarizer:
        queues.append(catalog.diarizer(spec.diarizer).queue)
    return [
        TranscriptWarning(
            WarningCode.NO_WORKER,
            f"no worker serves the queue {queue} at the moment; the job waits for one",
        )
        for queue in queues
        if not worker_registry.is_served(queue)
    ]
