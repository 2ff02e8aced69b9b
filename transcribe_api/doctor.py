"""Looks what works on this machine, and says what repairs the rest."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core import data_folder, free_space, private_files, progress, sqlite_file
from core.db import build_engine
from core.errors import TranscribeError, Transient
from core.settings import settings
from core.storage import storage
from engines import catalog, manifest, shelf
from engines.catalog import DiarizerSpec, EngineSpec
from engines.shelf import OnShelf
from engines.weights.pinned import MODELS
from transcribe_api import embedded_redis, open_files, ports
from transcribe_api.cli_service import find_running
from transcribe_api.processes import usable_cores
from transcribe_api.serviceable import find_obstacle


class State(StrEnum):
    """How something is."""

    OK = "ok"
    #: Not there, and not needed by who does not want it.
    ABSENT = "absent"
    BROKEN = "broken"
    #: It works, and not as most would want.
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    #: What was found; for what is not well, what to do about it.
    told: str


def examine(host: str, port: int) -> Iterator[Finding]:
    """Everything, one after the other; nothing is changed and no model is loaded.

    *host*, *port*: where a service is to answer.
    """
    engines = list(_engines())
    yield from engines
    yield from _choices(engines)
    yield from _models()
    yield from _weights()
    yield _gpu()
    yield _data_dir()
    yield _port(host, port)
    yield _open_files()
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
        if f"engine {name}" in able and _is_by_default(name)
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
    folder, what = settings().transcribe_data_dir, "data directory"
    if obstacle := data_folder.find_obstacle(folder):
        return Finding(what, State.BROKEN, obstacle)
    if folder.is_dir() and private_files.is_open_to_others(folder):
        told = f"other accounts of this machine can read {folder}; close it with chmod 700"
        return Finding(what, State.WARNING, told)
    if shortage := free_space.find_shortage():
        told = f"{shortage}: make room, or set TRANSCRIBE_DATA_DIR to a larger disk"
        return Finding(what, State.BROKEN, told)
    if doubt := data_folder.find_doubt(folder):
        return Finding(what, State.WARNING, doubt)
    free = free_space.measure(folder).free / 1e9
    disk = data_folder.describe_disk(folder)
    return Finding(what, State.OK, f"{free:.1f} GB free in {folder} ({disk})")


def _port(host: str, port: int) -> Finding:
    where = f"{host}:{port}"
    if find_running() == f"http://{where}":
        return Finding("port", State.OK, f"the service answers on {where}")
    if obstacle := ports.find_obstacle(host, port):
        return Finding("port", State.WARNING, obstacle)
    return Finding("port", State.OK, f"{where} is free")


def _open_files() -> Finding:
    if obstacle := open_files.find_obstacle(usable_cores()):
        return Finding("open files", State.BROKEN, obstacle)
    granted = open_files.count_granted() or "any number of"
    return Finding("open files", State.OK, f"a process may have {granted} files open")


def _keys() -> Finding:
    if settings().auth == "off":
        told = "AUTH=off: everybody who reaches the service may do everything; use auto or on"
        return Finding("keys", State.WARNING, told)
    when = "always" if settings().auth == "on" else "once there is one"
    return Finding("keys", State.OK, f"asked for {when} (AUTH={settings().auth})")


def _services() -> Iterator[Finding]:
    now = settings()
    yield _damage() or _answers(
        "records", "DATABASE_URL", now.database_url is not None, _ask_database
    )
    yield _answers("storage", "MINIO_ENDPOINT", now.minio_endpoint is not None, storage().ping)
    if now.redis_url is None:
        yield _embedded_redis()
    else:
        yield _answers("redis", "REDIS_URL", True, progress.client().ping)


def _damage() -> Finding | None:
    file = sqlite_file.find()
    damage = file and sqlite_file.find_damage(file)
    return Finding("records", State.BROKEN, damage) if damage else None


def _embedded_redis() -> Finding:
    try:
        return _running_redis()
    except redis.ConnectionError:  # none runs
        return _redis_files()


def _running_redis() -> Finding:
    """As it says of itself: what is on the disk is not all that it has."""
    try:
        told = progress.client().info("persistence")
    except redis.ResponseError as error:
        return Finding("redis", State.BROKEN, f"the running one answers: {error}")
    if told["aof_last_write_status"] != "ok":
        lack = free_space.find_lack() or "look into logs/redis.log of the data directory"
        return Finding("redis", State.BROKEN, f"the running one cannot write its file: {lack}")
    return Finding("redis", State.OK, "runs in the data directory, and writes its file")


def _redis_files() -> Finding:
    folder = settings().transcribe_data_dir / "redis"
    try:
        damage = embedded_redis.find_damage(folder)
    except OSError as error:
        told = f"{error.filename or folder} cannot be read ({error.strerror}): look who owns it"
        return Finding("redis", State.BROKEN, told)
    if damage:
        return Finding("redis", State.BROKEN, damage)
    kept = ", ".join(map(str, embedded_redis.find_set_aside(folder)))
    also = f"; damaged files were set aside and may be removed: {kept}" if kept else ""
    return Finding("redis", State.OK, f"in the data directory (REDIS_URL is not set){also}")


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
