"""Check what works on this machine, and report how to repair the rest."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.db import sqlite_file
from core.db.transactions import build_engine
from core.errors import TranscribeError, Transient
from core.filesystem import data_directory, free_space, private_files
from core.redis import client as redis_client
from core.settings import settings
from core.storage import storage
from engines import catalog
from engines.models import local_models, model_manifest
from engines.models.local_models import LocalModel
from engines.models.pinned_models import MODELS
from engines.spec import DiarizerSpec, EngineSpec
from transcribe_api.cli.service import find_running_url
from transcribe_api.serviceable import find_obstacle
from transcribe_api.stack import embedded_redis, open_files, ports
from transcribe_api.stack.processes import count_usable_cores


class State(StrEnum):
    """The state of something that was checked."""

    OK = "ok"
    #: Not installed; not a fault unless it is needed.
    ABSENT = "absent"
    BROKEN = "broken"
    #: It works, but not as most operators want.
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    subject: str
    state: State
    #: The state; for a problem, its remedy.
    detail: str


def run_checks(host: str, port: int) -> Iterator[Finding]:
    """Yield the results of all checks; they change nothing and load no model.

    *host*, *port*: the address at which a service should listen.
    """
    engines = list(_check_engines())
    yield from engines
    yield from _check_defaults(engines)
    yield from _check_models()
    yield from _check_weights()
    yield _check_gpu()
    yield _check_data_dir()
    yield _check_port(host, port)
    yield _check_open_files()
    yield _check_keys()
    yield from _check_services()


def _check_engines() -> Iterator[Finding]:
    for spec in catalog.all_specs():
        yield _check_engine(spec)


def _check_engine(spec: EngineSpec | DiarizerSpec) -> Finding:
    """Return whether it can work here; an installed engine that cannot work is not "ok"."""
    subject = f"{spec.kind} {spec.name}"
    try:
        reason = find_obstacle(spec)
    except Transient as error:
        reason = str(error)
    if reason:
        return Finding(subject, State.ABSENT, reason)
    return Finding(
        subject, State.OK, f"serves the queue {spec.queue}{_UNTESTED.get(spec.name, '')}"
    )


#: What was never tested, shown to operators.
_UNTESTED = {
    "asr": "; never tested with a real Riva server, only with its stand-in",
    "whisperx": "; never tested on a GPU, nor with models larger than small",
}


def _check_defaults(engines: Sequence[Finding]) -> Iterator[Finding]:
    """Yield what `auto` selects here, and why, based on the engine checks."""
    usable = {finding.subject for finding in engines if finding.state is State.OK}
    yield _check_default(
        "engine", settings().default_transcription_engine, _select_usable_engines(usable)
    )
    yield _check_default("diarizer", settings().default_diarizer, _select_usable_diarizers(usable))


def _check_default(kind: str, setting: str, usable: Sequence[str]) -> Finding:
    subject = f"default {kind}"
    if setting != catalog.AUTO:
        return Finding(subject, State.OK, f"{setting}, as set by DEFAULT_…")
    if not usable:
        return Finding(subject, State.BROKEN, "none works here: transcribe models pull base")
    alternatives = f"; also usable: {', '.join(usable[1:])}" if usable[1:] else ""
    return Finding(subject, State.OK, f"{usable[0]}, the best that works here{alternatives}")


def _select_usable_engines(usable: Collection[str]) -> list[str]:
    return [
        name
        for name in catalog.ENGINES_BY_PREFERENCE
        if f"engine {name}" in usable and _may_be_default(name)
    ]


def _may_be_default(name: str) -> bool:
    spec = catalog.recognizer(name)
    return not spec.offer or catalog.query_capabilities(spec).by_default


def _select_usable_diarizers(usable: Collection[str]) -> list[str]:
    return [name for name in catalog.DIARIZERS_BY_PREFERENCE if f"diarizer {name}" in usable]


def _check_models() -> Iterator[Finding]:
    """Check only models that are here, or that a job without a model needs."""
    needed = {settings().whisper_default_model}
    if catalog.recognizer("whisperx") is catalog.WHISPERX and catalog.WHISPERX.is_installed():
        needed.add(settings().whisperx_default_model)
    for model in local_models.list_whisper_models():
        if model.folder is not None or model.name in needed:
            yield _check_model(model, f"transcribe models pull {model.name}")
    if catalog.PYANNOTE.is_installed():
        setup_hint = "set HF_TOKEN, or set PYANNOTE_MODEL to a folder that contains a pipeline"
        remedy = "it is downloaded on first use" if settings().hf_token else setup_hint
        yield _check_model(local_models.find_pipeline(), remedy)


def _check_weights() -> Iterator[Finding]:
    """Check the file sizes of pulled models, which is fast."""
    for name, model in MODELS.items():
        folder, subject = settings().model_dir / name, f"weights {name}"
        manifest = model_manifest.read(folder)
        if manifest is None or not model.is_source_of(manifest):
            if name == "base" and not folder.exists():
                yield Finding(
                    subject, State.ABSENT, f"not on this machine: transcribe models pull {name}"
                )
        elif mismatches := model.find_size_mismatches(folder):
            detail = (
                f"{', '.join(mismatches)} in {folder} is incomplete: transcribe models pull {name}"
            )
            yield Finding(subject, State.BROKEN, detail)
        else:
            detail = f"complete by size in {folder}; transcribe models verify checks all bytes"
            yield Finding(subject, State.OK, detail)


def _check_model(model: LocalModel, remedy: str) -> Finding:
    subject = f"model {model.name}"
    if model.folder is None:
        return Finding(subject, State.ABSENT, f"not on this machine: {remedy}")
    if model.missing_files:
        missing = ", ".join(model.missing_files)
        return Finding(
            subject, State.BROKEN, f"{model.folder} has no {missing}: copy or download it again"
        )
    return Finding(subject, State.OK, f"{model.size_mb:.0f} MB in {model.folder}")


def _check_gpu() -> Finding:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("GPU", State.ABSENT, "none: Whisper and pyannote use the CPU")
    process = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False, timeout=30)
    if process.returncode:
        output = (process.stderr or process.stdout).strip()
        return Finding("GPU", State.BROKEN, f"nvidia-smi reports: {output}. Reinstall the driver")
    return Finding("GPU", State.OK, process.stdout.strip())


def _check_data_dir() -> Finding:
    folder, subject = settings().transcribe_data_dir, "data directory"
    if obstacle := data_directory.find_obstacle(folder):
        return Finding(subject, State.BROKEN, obstacle)
    if folder.is_dir() and private_files.is_open_to_others(folder):
        detail = f"other accounts of this machine can read {folder}; run chmod 700 on it"
        return Finding(subject, State.WARNING, detail)
    if shortage := free_space.find_shortage():
        detail = f"{shortage}: free disk space, or set TRANSCRIBE_DATA_DIR to a larger disk"
        return Finding(subject, State.BROKEN, detail)
    if risk := data_directory.find_risk(folder):
        return Finding(subject, State.WARNING, risk)
    free = free_space.measure_space(folder).free / 1e9
    disk = data_directory.describe_disk(folder)
    return Finding(subject, State.OK, f"{free:.1f} GB free in {folder} ({disk})")


def _check_port(host: str, port: int) -> Finding:
    address = f"{host}:{port}"
    if find_running_url() == f"http://{address}":
        return Finding("port", State.OK, f"the service answers on {address}")
    if obstacle := ports.find_obstacle(host, port):
        return Finding("port", State.WARNING, obstacle)
    return Finding("port", State.OK, f"{address} is free")


def _check_open_files() -> Finding:
    if obstacle := open_files.find_obstacle(count_usable_cores()):
        return Finding("open files", State.BROKEN, obstacle)
    granted = open_files.count_granted() or "any number of"
    return Finding("open files", State.OK, f"a process can have {granted} open files")


def _check_keys() -> Finding:
    if settings().auth == "off":
        detail = "AUTH=off: anybody who can reach the service has full access; use auto or on"
        return Finding("keys", State.WARNING, detail)
    when = "always" if settings().auth == "on" else "once there was one"
    return Finding("keys", State.OK, f"required {when} (AUTH={settings().auth})")


def _check_services() -> Iterator[Finding]:
    config = settings()
    yield _check_database_file() or _check_service(
        "records", "DATABASE_URL", config.database_url is not None, _ping_database
    )
    yield _check_service(
        "storage", "MINIO_ENDPOINT", config.minio_endpoint is not None, storage().ping
    )
    if config.redis_url is None:
        yield _check_embedded_redis()
    else:
        yield _check_service("redis", "REDIS_URL", True, redis_client().ping)


def _check_database_file() -> Finding | None:
    file = sqlite_file.find_file()
    damage = file and sqlite_file.find_damage(file)
    return Finding("records", State.BROKEN, damage) if damage else None


def _check_embedded_redis() -> Finding:
    try:
        return _check_running_redis()
    except redis.ConnectionError:  # none runs
        return _check_redis_files()


def _check_running_redis() -> Finding:
    """Check Redis by its own status: it has more in memory than on disk."""
    try:
        info = redis_client().info("persistence")
    except redis.ResponseError as error:
        return Finding("redis", State.BROKEN, f"the running server returned: {error}")
    if info["aof_last_write_status"] != "ok":
        shortage = free_space.find_minimum_shortage() or "see logs/redis.log in the data directory"
        return Finding(
            "redis", State.BROKEN, f"the running server cannot write its file: {shortage}"
        )
    return Finding("redis", State.OK, "runs in the data directory, and writes its file")


def _check_redis_files() -> Finding:
    folder = settings().transcribe_data_dir / "redis"
    try:
        damage = embedded_redis.find_damage(folder)
    except OSError as error:
        detail = f"{error.filename or folder} cannot be read ({error.strerror}): check its owner"
        return Finding("redis", State.BROKEN, detail)
    if damage:
        return Finding("redis", State.BROKEN, damage)
    set_aside = ", ".join(map(str, embedded_redis.find_set_aside(folder)))
    note = f"; damaged files were moved aside and can be deleted: {set_aside}" if set_aside else ""
    return Finding("redis", State.OK, f"in the data directory (REDIS_URL is not set){note}")


def _check_service(subject: str, setting: str, is_set: bool, ping: Callable[[], object]) -> Finding:
    if not is_set:
        return Finding(subject, State.OK, f"in the data directory ({setting} is not set)")
    try:
        ping()
    except (SQLAlchemyError, redis.RedisError, TranscribeError, OSError) as error:
        detail = f"does not answer ({type(error).__name__}): start it, or correct {setting}"
        return Finding(subject, State.BROKEN, detail)
    return Finding(subject, State.OK, f"answers at {setting}")


def _ping_database() -> None:
    with build_engine(settings().database).connect() as connection:
        connection.execute(text("SELECT 1"))
