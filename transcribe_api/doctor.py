"""Looks what works on this machine, and says what repairs the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core import free_space, private_files, progress
from core.db import build_engine
from core.errors import TranscribeError, Transient
from core.settings import settings
from core.storage import storage
from engines import catalog, manifest, shelf
from engines.catalog import DiarizerSpec, EngineSpec
from engines.shelf import OnShelf
from engines.weights.pinned import MODELS
from transcribe_api.serviceable import find_obstacle


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
    engines = list(_engines())
    yield from engines
    yield from _choices(engines)
    yield from _models()
    yield from _weights()
    yield _gpu()
    yield _data_dir()
    yield _keys()
    yield from _services()


def _engines() -> Iterator[Finding]:
    for spec in catalog.every_spec():
        yield _engine(spec)


def _engine(spec: EngineSpec | DiarizerSpec) -> Finding:
    """Whether it could work here; what is installed and could not is no "ok"."""
    what = f"{spec.kind} {spec.name}"
    try:
        reason = find_obstacle(spec)
    except Transient as error:
        reason = str(error)
    if reason:
        return Finding(what, State.ABSENT, reason)
    return Finding(what, State.OK, f"serves the queue {spec.queue}{_UNPROVEN.get(spec.name, '')}")


#: What was never tried where this was made, said where people look what works.
_UNPROVEN = {
    "asr": "; never tried with a real Riva server, only with its stand-in",
    "whisperx": "; never tried on a GPU, nor with models larger than small",
}


def _choices(engines: Sequence[Finding]) -> Iterator[Finding]:
    """What `auto` stands for here, and why, by what was found of the engines."""
    able = {finding.what for finding in engines if finding.state is State.OK}
    yield _choice("engine", settings().default_transcription_engine, _able_engines(able))
    yield _choice("diarizer", settings().default_diarizer, _able_diarizers(able))


def _choice(kind: str, setting: str, able: Sequence[str]) -> Finding:
    what = f"default {kind}"
    if setting != catalog.AUTO:
        return Finding(what, State.OK, f"{setting}, as DEFAULT_… says")
    if not able:
        return Finding(what, State.BROKEN, "none works here: transcribe models pull base")
    passed = f"; {', '.join(able[1:])} would do as well" if able[1:] else ""
    return Finding(what, State.OK, f"{able[0]}, the best that works here{passed}")


def _able_engines(able: Collection[str]) -> list[str]:
    return [
        name
        for name in catalog.ENGINES_BY_PREFERENCE
        if f"recognizer {name}" in able and _is_by_default(name)
    ]


def _is_by_default(name: str) -> bool:
    spec = catalog.recognizer(name)
    return not spec.offer or catalog.offer(spec).by_default


def _able_diarizers(able: Collection[str]) -> list[str]:
    return [name for name in catalog.DIARIZERS_BY_PREFERENCE if f"diarizer {name}" in able]


def _models() -> Iterator[Finding]:
    """Only models that are here, or that a job without a model needs."""
    needed = {settings().whisper_default_model}
    if catalog.recognizer("whisperx") is catalog.WHISPERX and catalog.WHISPERX.installed():
        needed.add(settings().whisperx_default_model)
    for model in shelf.whisper():
        if model.folder is not None or model.name in needed:
            yield _model(model, f"transcribe models pull {model.name}")
    if catalog.PYANNOTE.installed():
        needs = "set HF_TOKEN, or PYANNOTE_MODEL to a folder that holds a pipeline"
        told = "it is fetched when it is first used" if settings().hf_token else needs
        yield _model(shelf.pipeline(), told)


def _weights() -> Iterator[Finding]:
    """Whether pulled models have the sizes that they must have, which costs nothing to see."""
    for name, model in MODELS.items():
        folder, what = settings().model_dir / name, f"weights {name}"
        pulled = manifest.read(folder)
        if pulled is None or not model.is_source_of(pulled):
            if name == "base" and not folder.exists():
                yield Finding(
                    what, State.ABSENT, f"not on this machine: transcribe models pull {name}"
                )
        elif misfits := model.misfits(folder):
            told = f"{', '.join(misfits)} in {folder} is not whole: transcribe models pull {name}"
            yield Finding(what, State.BROKEN, told)
        else:
            told = f"whole by size in {folder}; transcribe models verify reads all bytes"
            yield Finding(what, State.OK, told)


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
        return Finding("GPU", State.ABSENT, "none: Whisper and pyannote use the processor")
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
    if shortage := free_space.find_shortage():
        told = f"{shortage}: make room, or set TRANSCRIBE_DATA_DIR to a larger disk"
        return Finding("data directory", State.BROKEN, told)
    free = free_space.measure(folder).free / 1e9
    return Finding("data directory", State.OK, f"{free:.1f} GB free in {folder}")


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
