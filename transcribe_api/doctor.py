"""Looks what works on this machine, and says what repairs the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import redis
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core import private_files, progress
from core.db import build_engine
from core.errors import TranscribeError
from core.settings import settings
from core.storage import storage
from engines import catalog, shelf
from engines.catalog import DiarizerSpec, EngineSpec
from engines.shelf import OnShelf


class State(StrEnum):
    """How something is."""

    OK = "ok"
    #: Not there, and not needed by who does not want it.
    ABSENT = "absent"
    BROKEN = "broken"
    #: It works, and lets in more people than most would want.
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    #: What was found; for what is not well, what to do about it.
    told: str


def examine() -> Iterator[Finding]:
    """Everything, one after the other; nothing is changed and no model is loaded."""
    yield from _engines()
    yield from _models()
    yield _gpu()
    yield _data_dir()
    yield _keys()
    yield from _services()


def _engines() -> Iterator[Finding]:
    specs: list[EngineSpec | DiarizerSpec] = list(catalog.recognizers().values())
    for spec in [*specs, *catalog.diarizers().values()]:
        if spec.installed():
            yield Finding(f"{spec.kind} {spec.name}", State.OK, f"serves the queue {spec.queue}")
        else:
            yield Finding(f"{spec.kind} {spec.name}", State.ABSENT, catalog.remedy(spec))


def _models() -> Iterator[Finding]:
    if catalog.recognizer("whisperx") is catalog.WHISPERX and catalog.WHISPERX.installed():
        for model in shelf.whisper():
            yield _model(model, "it is fetched when it is first used")
    if catalog.PYANNOTE.installed():
        needs = "set HF_TOKEN, or PYANNOTE_MODEL to a folder that holds a pipeline"
        told = "it is fetched when it is first used" if settings().hf_token else needs
        yield _model(shelf.pipeline(), told)


def _model(model: OnShelf, remedy: str) -> Finding:
    what = f"model {model.name}"
    if model.folder is None:
        return Finding(what, State.ABSENT, f"not on this machine: {remedy}")
    if model.lacks:
        lacks = ", ".join(model.lacks)
        return Finding(what, State.BROKEN, f"{model.folder} lacks {lacks}: copy or fetch it again")
    return Finding(what, State.OK, f"{model.size_mb:.0f} MB in {model.folder}")


def _gpu() -> Finding:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("GPU", State.ABSENT, "none: WhisperX and pyannote use the processor")
    done = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        return Finding("GPU", State.BROKEN, f"nvidia-smi says: {said}. Install the driver again")
    return Finding("GPU", State.OK, done.stdout.strip())


def _data_dir() -> Finding:
    folder = settings().transcribe_data_dir
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    if not os.access(there, os.W_OK):
        told = f"{there} may not be written to; set TRANSCRIBE_DATA_DIR to a folder of yours"
        return Finding("data directory", State.BROKEN, told)
    if folder.is_dir() and private_files.is_open_to_others(folder):
        told = f"other accounts of this machine can read {folder}; close it with chmod 700"
        return Finding("data directory", State.WARNING, told)
    free = shutil.disk_usage(there).free / 1e9
    state = State.OK if free >= 1 else State.BROKEN
    advice = "" if free >= 1 else "; make room, or set TRANSCRIBE_DATA_DIR to a larger disk"
    return Finding("data directory", state, f"{free:.1f} GB free in {folder}{advice}")


def _keys() -> Finding:
    if settings().auth == "off":
        told = "AUTH=off: everybody who reaches the service may do everything; use auto or on"
        return Finding("keys", State.WARNING, told)
    when = "always" if settings().auth == "on" else "once there is one"
    return Finding("keys", State.OK, f"asked for {when} (AUTH={settings().auth})")


def _services() -> Iterator[Finding]:
    now = settings()
    yield _answers("records", "DATABASE_URL", now.database_url is not None, _ask_database)
    yield _answers("storage", "MINIO_ENDPOINT", now.minio_endpoint is not None, storage().ping)
    yield _answers("redis", "REDIS_URL", now.redis_url is not None, progress.client().ping)


def _answers(what: str, setting: str, is_set: bool, ask: Callable[[], object]) -> Finding:
    if not is_set:
        return Finding(what, State.OK, f"in the data directory ({setting} is not set)")
    try:
        ask()
    except (SQLAlchemyError, redis.RedisError, TranscribeError, OSError) as error:
        told = f"does not answer ({type(error).__name__}): start it, or correct {setting}"
        return Finding(what, State.BROKEN, told)
    return Finding(what, State.OK, f"answers at {setting}")


def _ask_database() -> None:
    with build_engine(settings().database).connect() as connection:
        connection.execute(text("SELECT 1"))
