"""Transcription from Python: hand recordings in, find the results in folders.

    with DiarizationOrchestrator(OrchestratorConfig(chunk_duration=30.0)) as orchestrator:
        job_id = orchestrator.process_file("video.mp4", "out/")
        orchestrator.wait()

It works on an embedded stack of its own, or on a service that runs elsewhere.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.memory.leases import ResourceManager
from core.memory.resource_config import ResourceConfig
from core.states import Priority as JobPriority
from transcribe_api.client import Client
from transcribe_api.python import embedded
from transcribe_api.python.job_follower import FinishedJob, JobFollower

__all__ = [
    "DiarizationOrchestrator",
    "FinishedJob",
    "JobPriority",
    "OrchestratorConfig",
    "ResourceManager",
]

log = logging.getLogger(__name__)

#: In the data directory: where the results of unfinished jobs go.
JOURNAL = "orchestrator.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorConfig:
    """What is wanted. None: as the settings of the service have it.

    With the address of a running service, what is marked with * is that service's own choice.
    """

    #: Jobs that are worked on at a time; more wait, the more urgent ones first. *
    max_concurrent_jobs: int = 2
    #: GiB that loaded models may take. *
    max_memory_gb: float | None = None
    #: Seconds that a chunk aims at. *
    chunk_duration: float | None = None
    #: Seconds that two chunks share where a cut has to fall into speech. *
    chunk_overlap: float | None = None
    #: Model of WhisperX; naming one chooses that engine, where it is installed.
    whisper_model: str | None = None
    #: Most speakers that there can be.
    max_speakers: int | None = None
    #: Chunks that fail are tried again *; and jobs that a kept ``data_dir`` has unfinished are gone
    #: on with, results and callbacks included.
    enable_recovery: bool = True
    #: How the service does is logged now and then.
    enable_monitoring: bool = True
    #: Seconds from one such line to the next.
    log_interval: float = 30
    #: Name of a speech engine.
    engine: str | None = None
    #: Name of a diarizer, or ``none``.
    diarizer: str | None = None
    #: Language tag such as ``en-US``.
    language: str | None = None
    #: Processes of each speech engine; 0: one a core. *
    workers: int = 0

    def __post_init__(self) -> None:
        if self.max_concurrent_jobs < 1:
            raise ValueError("max_concurrent_jobs must be at least 1")
        if self.log_interval <= 0:
            raise ValueError("log_interval must be above 0")

    def settings(self) -> dict[str, str]:
        """The settings of an embedded stack, by the names of environment variables."""
        values = {
            "MAX_CONCURRENT_JOBS": self.max_concurrent_jobs,
            "MAX_MEMORY_GB": self.max_memory_gb,
            "CHUNK_DURATION": self.chunk_duration,
            "CHUNK_OVERLAP": self.chunk_overlap,
            "CHUNK_MAX_RETRIES": None if self.enable_recovery else 0,
        }
        return {name: str(value) for name, value in values.items() if value is not None}

    def options(self) -> dict[str, Any]:
        """What every job asks for."""
        values = {
            "engine": self.engine,
            "diarizer": self.diarizer,
            "language": self.language,
            "max_speakers": self.max_speakers,
        }
        return {name: value for name, value in values.items() if value is not None}


class DiarizationOrchestrator:
    """Takes recordings, and writes what comes of them into folders.

    Use it in a ``with`` block, which leaves no process behind: unfinished jobs end with it, unless
    the *data_dir* is kept. Without a block it starts when it is first needed, and ends with the
    program or by `close`. Threads may share one.

    Its methods raise `ServiceError` when the service refuses, `Unreachable` when it does not answer
    and `StartError` when the embedded stack does not come up.
    """

    def __init__(
        self,
        config: OrchestratorConfig | None = None,
        *,
        url: str | None = None,
        key: str | None = None,
        data_dir: Path | str | None = None,
        resources: ResourceManager | None = None,
    ) -> None:
        """*url*, *key*: of a running service, instead of an embedded stack of its own.

        *data_dir*: where that stack keeps everything; without it, in a scratch folder that goes
        with it. *resources*: what it may use of the machine; what its file names takes precedence
        over the *config*.
        """
        self.config = config or OrchestratorConfig()
        self._url, self._key = url, key
        self._resources = resources.config if resources else ResourceConfig()
        self._data_dir = Path(data_dir).expanduser().resolve() if data_dir is not None else None
        self._callbacks: list[Callable[[FinishedJob], object]] = []
        self._lock = threading.Lock()
        self._exit_stack = ExitStack()
        self._follower: JobFollower | None = None
        self._options: dict[str, Any] = {}
        self._is_closed = False

    def __enter__(self) -> DiarizationOrchestrator:
        self._ensure_started()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def process_file(self, file_path: Path | str, output_dir: Path | str) -> str:
        """Hand in a recording; returns the id of the job at once.

        Raises `OSError` when the recording cannot be read.
        """
        return self.submit_job(file_path, output_dir)

    def submit_job(
        self,
        file_path: Path | str,
        output_dir: Path | str,
        priority: JobPriority = JobPriority.NORMAL,
    ) -> str:
        """As `process_file`; jobs of a higher priority overtake others."""
        follower = self._ensure_started()
        options = {**self._options, "priority": str(JobPriority(priority))}
        job_id = str(follower.client.submit(file_path, **options)["job_id"])
        follower.follow(job_id, file_path, output_dir)
        return job_id

    def get_job_status(self, job_id: str) -> dict[str, Any]:
        """The state of a job; it is ``completed`` only when its results lie in the folder."""
        return self._ensure_started().get_status(job_id)

    def get_system_status(self) -> dict[str, Any]:
        """Active and completed jobs, queues, memory, processors, workers and statistics."""
        return self._ensure_started().get_system_status()

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """End a job; returns its last state."""
        return self._ensure_started().client.cancel(job_id)

    def add_job_completion_callback(self, callback: Callable[[FinishedJob], object]) -> None:
        """Have *callback* called once with each job that ends from now on, however it ends.

        It is called in a thread of its own, one job after the other. What it raises is logged.
        """
        self._callbacks.append(callback)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every job is over and its callbacks were called; False after *timeout* s."""
        return self._ensure_started().wait(timeout)

    def close(self) -> None:
        """End the embedded stack and all of its processes. Safe to call twice."""
        with self._lock:
            self._is_closed = True
            exit_stack, self._exit_stack, self._follower = self._exit_stack, ExitStack(), None
        atexit.unregister(self.close)
        exit_stack.close()  # a callback that is at work may want the guard

    def _ensure_started(self) -> JobFollower:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("this orchestrator is closed")
            if self._follower is None:
                self._follower = self._start()
            return self._follower

    def _start(self) -> JobFollower:
        atexit.register(self.close)
        with ExitStack() as exit_stack:
            client = exit_stack.enter_context(self._open_client(exit_stack))
            client.ping()
            self._options = {**self.config.options(), **_choose_whisper(client, self.config)}
            follower = JobFollower(
                client, self._callbacks, self._journal_path(), self._log_interval()
            )
            exit_stack.callback(follower.stop)
            follower.start()
            self._exit_stack = exit_stack.pop_all()
        return follower

    def _open_client(self, exit_stack: ExitStack) -> Client:
        if self._url:
            return Client(self._url, key=self._key)
        service = exit_stack.enter_context(self._start_stack())
        return Client(service.url, key=self._key or service.token)

    def _start_stack(self) -> Any:
        settings = {**self.config.settings(), **self._resources.to_environment()}
        return embedded.run_service(settings, workers=self.config.workers, data_dir=self._data_dir)

    def _journal_path(self) -> Path | None:
        if self._url or self._data_dir is None or not self.config.enable_recovery:
            return None
        return self._data_dir / JOURNAL

    def _log_interval(self) -> float | None:
        return self.config.log_interval if self.config.enable_monitoring else None


def _choose_whisper(client: Client, config: OrchestratorConfig) -> dict[str, str]:
    """The engine and its model, where a model of Whisper is wanted."""
    if config.whisper_model is None:
        return {}
    response = client.engines()
    engine = config.engine or _find_whisper_engine(config.whisper_model, response["engines"])
    if engine in ("whisper", "whisperx"):
        return {"engine": engine, "model": config.whisper_model}
    fallback = engine or response["default_engine"]
    log.warning("%s hears, without %s: no worker has that model", fallback, config.whisper_model)
    return {}


def _find_whisper_engine(model: str, engines: Mapping[str, Any]) -> str | None:
    """The engine of Whisper whose workers can use the model now."""
    if engines.get("whisperx", {}).get("available"):
        return "whisperx"
    whisper = engines.get("whisper", {})
    has_model = whisper.get("available") and model in whisper.get("models_here", ())
    return "whisper" if has_model else None
