"""Parse a request into a valid `JobSpec`, or raise an error that names field and allowed values."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from core import safe_http
from core.errors import InvalidInput
from core.jobs import languages
from core.jobs.spec import DiarizationOptions, JobSpec
from core.states import ALL_TRACKS, Channels, JobStatus, Priority, Redo
from engines import catalog
from engines.catalog import AUTO
from engines.spec import EngineSpec
from transcribe_api.engine_choice import choose_diarizer, choose_engine

#: No diarizer separates more speakers than this.
MAX_SPEAKERS = 50
LANGUAGE_PATTERN = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
#: An audio track: its number, counted from 1, its language, or `ALL_TRACKS`.
TRACK_PATTERN = re.compile(rf"[1-9][0-9]?|{LANGUAGE_PATTERN.pattern}")
_NUMBER = re.compile(r"[0-9]{1,9}")
#: Maximum of a number from a caller, unless a lower one applies.
MAX_NUMBER = 999_999_999
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
NO_DIARIZER = "none"
#: Characters of a prompt: engines use its end, about 200 words.
MAX_PROMPT_LENGTH = 4000


def parse_job(form: Mapping[str, str], engine_name: str | None = None) -> JobSpec:
    """Parse a form for the named engine, or for the form's own. Raises `InvalidInput`."""
    language, model = _parse_language(form), _read_text(form, "model")
    engine = choose_engine(engine_name or _read_text(form, "engine"), language, model)
    _check_model(model, engine)
    _check_language(language, model, engine)
    minimum, maximum = _parse_speakers(form)
    channels = _parse_enum(form, "channels", Channels) or Channels.MIX
    is_separate = channels is Channels.SEPARATE
    if is_separate:
        _refuse_speaker_fields(form)
    diarizer = _parse_diarizer(form, engine)
    return JobSpec(
        engine=engine.name,
        diarizer=None if is_separate else diarizer,
        channels=channels,
        track=_parse_track(form),
        mix_diarizer=diarizer if is_separate else None,
        language=language or _default_language(engine),
        model=model,
        initial_prompt=_parse_prompt(form),
        min_speakers=minimum,
        max_speakers=maximum,
        priority=_parse_enum(form, "priority", Priority) or Priority.NORMAL,
        session_id=_parse_uuid(form, "session_id"),
        context_id=_parse_uuid(form, "context_id"),
        callback_url=_parse_callback(form),
        source_url=_read_text(form, "source_url"),
    )


def parse_retry(query: Mapping[str, str]) -> tuple[Redo | None, DiarizationOptions]:
    """Return the stage to repeat (None: what failed) and its options. Raises `InvalidInput`."""
    stage = _parse_enum(query, "stage", Redo)
    if stage is not Redo.DIARIZE:
        _refuse_diarization_options(query)
    diarizer_name = _read_text(query, "diarizer")
    diarizer = catalog.diarizer(choose_diarizer(diarizer_name)) if diarizer_name else None
    minimum, maximum = _parse_speakers(query)
    return stage, DiarizationOptions(
        diarizer=diarizer.name if diarizer else None,
        shard_seconds=diarizer.shard_seconds if diarizer else None,
        min_speakers=minimum,
        max_speakers=maximum,
    )


def _refuse_diarization_options(query: Mapping[str, str]) -> None:
    for field in ("diarizer", "min_speakers", "max_speakers"):
        if _read_text(query, field):
            raise InvalidInput(f"{field}: only for stage={Redo.DIARIZE}", field=field)


def parse_job_id(text: str) -> str:
    """Return a job's id in canonical form. Raises `InvalidInput`."""
    return _normalize_uuid(text, "job_id")


def parse_row_id(text: str, field: str) -> uuid.UUID:
    """Return the id of a session, a context or a transcript. Raises `InvalidInput`."""
    return uuid.UUID(_normalize_uuid(text, field))


def parse_position(text: str) -> int:
    """Return a position in a list, counted from 0. Raises `InvalidInput`."""
    if not _NUMBER.fullmatch(text):
        raise InvalidInput(
            f"position: {text!r} is not a whole number from 0 to {MAX_NUMBER}", field="position"
        )
    return int(text)


def parse_job_filters(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the filters for `core.jobs.listing.list_transcripts`. Raises `InvalidInput`."""
    engine = _read_text(query, "engine")
    return {
        "status": _parse_enum(query, "status", JobStatus),
        "engine": catalog.recognizer(engine).name if engine else None,
        "session_id": _parse_uuid(query, "session_id"),
    }


def _read_text(form: Mapping[str, str], field: str) -> str | None:
    return form.get(field, "").strip() or None


def _parse_diarizer(form: Mapping[str, str], engine: EngineSpec) -> str | None:
    name = _read_text(form, "diarizer")
    is_wanted = parse_flag(form, "enable_diarization", default=name != NO_DIARIZER)
    if name and is_wanted is (name == NO_DIARIZER):
        raise InvalidInput(
            f"diarizer: {name!r} contradicts enable_diarization={str(is_wanted).lower()}; "
            "omit one of the two",
            field="diarizer",
        )
    return choose_diarizer(name, engine, also_allowed=(NO_DIARIZER,)) if is_wanted else None


def _parse_track(form: Mapping[str, str]) -> str | None:
    """Return the requested audio track; None for the default one."""
    track = _read_text(form, "track")
    if track is None:
        return None
    track = track.strip()
    if not TRACK_PATTERN.fullmatch(track):
        raise InvalidInput(
            f"track: {track!r} is not a number from 1 to 99, a language tag such as en, or all",
            field="track",
        )
    return track.lower() if track.lower() == ALL_TRACKS else track


def _parse_language(form: Mapping[str, str]) -> str | None:
    """Return the requested language; None if it should be detected."""
    language = _read_text(form, "language")
    if language is None or language.lower() == AUTO:
        return None
    if not LANGUAGE_PATTERN.fullmatch(language) or not languages.is_language(language):
        raise InvalidInput(
            f"language: {language!r} is not a language tag such as en-US or pt, nor auto",
            field="language",
        )
    return language


def _default_language(engine: EngineSpec) -> str | None:
    """Return the first language of an engine that cannot detect it, or None."""
    return engine.languages[0] if engine.languages and not engine.detects_language else None


def _check_language(language: str | None, model: str | None, engine: EngineSpec) -> None:
    if catalog.supports_language(engine, language, model):
        return
    model = model or catalog.default_model(engine)
    subject = f"the engine {engine.name}" + (f" with the model {model}" if model else "")
    known_languages = f"; allowed: {', '.join(engine.languages)}" if engine.languages else ""
    raise InvalidInput(
        f"language: {subject} does not support {language!r}{known_languages}", field="language"
    )


def _check_model(model: str | None, engine: EngineSpec) -> None:
    models = catalog.list_models(engine)
    if model is not None and model not in models:
        allowed = ", ".join(models) or "none: the engine has one model"
        raise InvalidInput(f"model: {model!r} is unknown; allowed: {allowed}", field="model")


def _parse_prompt(form: Mapping[str, str]) -> str | None:
    prompt = _read_text(form, "initial_prompt")
    if prompt is not None and len(prompt) > MAX_PROMPT_LENGTH:
        raise InvalidInput(
            f"initial_prompt: at most {MAX_PROMPT_LENGTH} characters are allowed, "
            f"not {len(prompt)}",
            field="initial_prompt",
        )
    if prompt is not None and "\0" in prompt:
        raise InvalidInput("initial_prompt: no NUL characters are allowed", field="initial_prompt")
    return prompt


def _parse_speakers(form: Mapping[str, str]) -> tuple[int | None, int | None]:
    minimum, maximum = _parse_count(form, "min_speakers"), _parse_count(form, "max_speakers")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise InvalidInput(
            f"min_speakers: {minimum} is more than max_speakers, {maximum}", field="min_speakers"
        )
    return minimum, maximum


def _refuse_speaker_fields(form: Mapping[str, str]) -> None:
    for field in ("diarizer", "enable_diarization", "min_speakers", "max_speakers"):
        if _read_text(form, field):
            raise InvalidInput(
                f"{field}: not allowed with channels=separate, where each channel is a speaker",
                field=field,
            )


def _parse_count(form: Mapping[str, str], field: str) -> int | None:
    text = _read_text(form, field)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_SPEAKERS:
        raise InvalidInput(
            f"{field}: {text!r} is not a whole number from 1 to {MAX_SPEAKERS}", field=field
        )
    return int(text)


def _parse_callback(form: Mapping[str, str]) -> str | None:
    url = _read_text(form, "callback_url")
    if url is not None:
        safe_http.check_url(url, "callback_url")
    return url


_Kind = TypeVar("_Kind", bound=StrEnum)


def _parse_enum(form: Mapping[str, str], field: str, kind: type[_Kind]) -> _Kind | None:
    text = _read_text(form, field)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(kind)
        raise InvalidInput(
            f"{field}: {text!r} is unknown; allowed: {allowed}", field=field
        ) from None


def parse_flag(form: Mapping[str, str], field: str, *, default: bool) -> bool:
    """Return whether a field is true. Raises `InvalidInput` if it is neither true nor false."""
    text = (_read_text(form, field) or str(default)).lower()
    if text not in _TRUE | _FALSE:
        raise InvalidInput(f"{field}: {text!r} is neither true nor false", field=field)
    return text in _TRUE


def _parse_uuid(form: Mapping[str, str], field: str) -> str | None:
    text = _read_text(form, field)
    return None if text is None else _normalize_uuid(text, field)


def _normalize_uuid(text: str, field: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidInput(f"{field}: {text!r} is not a UUID", field=field) from None
