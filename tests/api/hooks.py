"""What schemathesis is told of the service: what is there, and what no schema can say."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import schemathesis
from schemathesis import Case, HookContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

#: What stands for a name in a path or a query.
THERE: dict[str, str] = json.loads(os.environ["TRANSCRIBE_TEST_THERE"])
#: Text, since a body with bytes that we put there is taken for wrong.
RECORDING = Path(os.environ["TRANSCRIBE_TEST_RECORDING"]).read_bytes().decode("ascii")


#: URLs that are longer reach the server and not the service.
LONGEST_URL = 3500


@schemathesis.hook
def map_case(_context: HookContext, case: Case) -> Case:
    """Ask for what is there: a made-up job says little."""
    if case.method != "DELETE" and _is_good(case, ParameterLocation.PATH):
        case.path_parameters.update(_known(case.path_parameters))
    if case.method == "POST" and "job_id" in case.path_parameters:
        case.path_parameters["job_id"] = THERE["waiting_job_id"]
    if _is_good(case, ParameterLocation.QUERY):
        case.query.update(_known(case.query))
        _make_wishes_good(case.query)
        if case.query and "format" in case.path_parameters:
            case.path_parameters["format"] = "srt"  # no other is broken into lines but vtt
    if case.headers.get("Idempotency-Key") and _is_good(case, ParameterLocation.HEADER):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex  # used once
    if isinstance(case.body, dict) and _is_good(case, ParameterLocation.BODY):
        _make_good(case, case.body)
    return case


@schemathesis.hook
def filter_case(_context: HookContext, case: Case) -> bool:
    """Leave out what is no fault, whatever is answered, and what would spoil the rest."""
    is_wanted_still = case.method == "DELETE" and bool(
        {*case.path_parameters.values()} & {*THERE.values()}
    )
    is_long = len(urlencode(case.query, doseq=True)) > LONGEST_URL
    return not (is_wanted_still or is_long or _has_empty_field(case))


def _known(names: dict[str, Any]) -> dict[str, str]:
    return {name: THERE[name] for name in names.keys() & THERE.keys()}


def _make_good(case: Case, body: dict[str, Any]) -> None:
    """Say of a body what its schema cannot: what fits together, and what is there."""
    if case.media_type == "multipart/form-data":
        _make_form_good(body)
        if "/jobs/" in case.path:
            body.pop("model", None)  # most engines have one
        elif body.get("model"):
            body["model"] = "whisper-1"  # the usual engine: others may have no model here, and wait
    body.update({field: THERE[field] for field in ("file_path", "output_dir") if field in body})
    for at, term in enumerate(body.get("terms", ())):
        term["phrase"] = str(at)
    if isinstance(body.get("roles"), dict):
        body["roles"] = {f"role {at}": [f"cue {at}"] for at in range(len(body["roles"]))}
    for field in ("former", "former_speaker_tag"):
        body.pop(field, None)  # it is what nobody can make up
    if body.get("speaker_tag"):
        body["speaker_tag"] = 0
    if body.get("names"):
        body["names"] = {"0": next(iter(body["names"].values()))}


def _make_form_good(form: dict[str, Any]) -> None:
    for field in ("source_url", "source_key", "callback_url"):
        form.pop(field, None)
    form["file"] = RECORDING
    if "language" in form:
        form["language"] = "en-US"
    if "diarizer" in form:
        form.pop("enable_diarization", None)  # which may contradict it
    if form.get("channels") == "separate":
        for field in ("diarizer", "enable_diarization", "min_speakers", "max_speakers"):
            form.pop(field, None)
    _put_in_order(form)


def _make_wishes_good(query: dict[str, Any]) -> None:
    """Speakers are only asked for again by the stage that finds them."""
    if {"diarizer", "min_speakers", "max_speakers"} & query.keys():
        query["stage"] = "diarize"
    _put_in_order(query)


def _put_in_order(fields: dict[str, Any]) -> None:
    if "min_speakers" in fields and "max_speakers" in fields:
        fields["max_speakers"] = max(fields["min_speakers"], fields["max_speakers"])


def _has_empty_field(case: Case) -> bool:
    """An empty field counts as not sent, so it is never wrong."""
    form = case.body if case.media_type == "multipart/form-data" else {}
    sent = [*case.query.values(), *(form.values() if isinstance(form, dict) else ())]
    return any(type(value) is str and not value.strip() for value in sent)  # a file is a subclass


def _is_good(case: Case, where: ParameterLocation) -> bool:
    if case.meta is None:
        return True
    part = case.meta.components.get(where, case.meta.generation)
    return part.mode is GenerationMode.POSITIVE
