"""Transcription from Python: submit recordings, and get the results in folders.

    with DiarizationOrchestrator(OrchestratorConfig(chunk_duration=30.0)) as orchestrator:
        job_id = orchestrator.process_file("video.mp4", "out/")
        orchestrator.wait()

It runs a private embedded stack, or uses a running service.
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

#: File in the data directory with the result folders of unfinished jobs.
JOURNAL = "orchestrator.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorConfig:
    """Options of the orchestrator. None: the default of the service's settings.

    A running service (*url*) ignores the options marked with *.
    """

    #: Jobs processed at a time; others wait, higher priorities first. *
    max_concurrent_jobs: int = 2
    #: GiB that loaded models may use. *
    max_memory_gb: float | None = None
    #: Target length of a chunk (seconds). *
    chunk_duration: float | None = None
    #: Overlap of two chunks where a cut must fall into speech (seconds). *
    chunk_overlap: float | None = None
    #: Model of WhisperX; it also selects that engine if it is installed.
    whisper_model: str | None = None
    #: Maximum number of speakers.
    max_speakers: int | None = None
    #: Failed chunks are retried *; unfinished jobs of a kept ``data_dir`` are continued, including
    #: results and callbacks.
    enable_recovery: bool = True
    #: Log the state of the service regularly.
    enable_monitoring: bool = True
    #: Seconds between these log lines.
    log_interval: float = 30
    #: Name of a speech engine.
    engine: str | None = None
    #: Name of a diarizer, or ``none``.
    diarizer: str | None = None
    #: Language tag such as ``en-US``.
    language: str | None = None
    #: Processes of each speech engine; 0: one per core. *
    workers: int = 0

    def __post_init__(self) -> None:
        if self.max_concurrent_jobs < 1:
            raise ValueError("max_concurrent_jobs must be at least 1")
        if self.log_interval <= 0:
            raise ValueError("log_interval must be above 0")

    def settings(self) -> dict[str, str]:
        """Return the settings of an embedded stack, by environment variable."""
        values = {
            "MAX_CONCURRENT_JOBS": self.max_concurrent_jobs,
            "MAX_MEMORY_GB": self.max_memory_gb,
            "CHUNK_DURATION": self.chunk_duration,
            "CHUNK_OVERLAP": self.chunk_overlap,
            "CHUNK_MAX_RETRIES": None if self.enable_recovery else 0,
        }
        return {name: str(value) for name, value in values.items() if value is not None}

    def options(self) -> dict[str, Any]:
        """Return the options of every job."""
        values = {
            "engine": self.engine,
            "diarizer": self.diarizer,
            "language": self.language,
            "max_speakers": self.max_speakers,
        }
        return {name: value for name, value in values.items() if value is not None}


class DiarizationOrchestrator:
    """Transcribes recordings, and writes the results into folders.

    Use it in a ``with`` block, which leaves no process behind: unfinished jobs end with it, unless
    the *data_dir* is kept. Without a block it starts on first use, and ends with the program or by
    `close`. Threads may share one.

    Its methods raise `ServiceError` if the service refuses, `Unreachable` if it does not answer,
    and `StartError` if the embedded stack does not start.
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
        """Use a running service at *url* with *key*, else a private embedded stack.

        *data_dir*: the stack's data directory; None: a temporary folder. *resources*: limits for
        the machine; the values in its file override the *config*.
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
        """Submit a recording; return the job's id at once.

        Raises `OSError` if the recording cannot be read.
        """
        return self.submit_job(file_path, output_dir)

    def submit_job(
        self,
        file_path: Path | str,
        output_dir: Path | str,
        priority: JobPriority = JobPriority.NORMAL,
    ) -> str:
        """Submit as `process_file` does; jobs of a higher priority overtake others."""
        follower = self._ensure_started()
        options = {**self._options, "priority": str(JobPriority(priority))}
        job_id = str(follower.client.submit(file_path, **options)["job_id"])
        follower.follow(job_id, file_path, output_dir)
        return job_id

    def get_job_status(self, job_id: str) -> dict[str, Any]:
        """Return the state of a job; it is ``completed`` once its results are in the folder."""
        return self._ensure_started().get_status(job_id)

    def get_system_status(self) -> dict[str, Any]:
        """Return active and completed jobs, queues, memory, processors, workers and statistics."""
        return self._ensure_started().get_system_status()

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Cancel a job; return its last state."""
        return self._ensure_started().client.cancel(job_id)

    def add_job_completion_callback(self, callback: Callable[[FinishedJob], object]) -> None:
        """Call *callback* once with each job that ends from now on, in any state.

        Callbacks run in a separate thread, one job after the other. Their exceptions are logged.
        """
        self._callbacks.append(callback)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all jobs are over and their callbacks have run; False after *timeout* s."""
        return self._ensure_started().wait(timeout)

    def close(self) -> None:
        """Stop the embedded stack and all of its processes. Safe to call twice."""
        with self._lock:
            self._is_closed = True
            exit_stack, self._exit_stack, self._follower = self._exit_stack, ExitStack(), None
        atexit.unregister(self.close)
        exit_stack.close()  # without the lock, which a running callback may need

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
    """Return the engine and model options, if a Whisper model is configured."""
    if config.whisper_model is None:
        return {}
    response = client.engines()
    engine = config.engine or _find_whisper_engine(config.whisper_model, response["engines"])
    if engine in ("whisper", "whisperx"):
        return {"engine": engine, "model": config.whisper_model}
    fallback = engine or response["default_engine"]
    log.warning("using %s without %s: no worker has that model", fallback, config.whisper_model)
    return {}


def _find_whisper_engine(model: str, engines: Mapping[str, Any]) -> str | None:
    """Return the Whisper engine whose workers can use the model now, or None."""
    if engines.get("whisperx", {}).get("available"):
        return "whisperx"
    whisper = engines.get("whisper", {})
    has_model = whisper.get("available") and model in whisper.get("models_here", ())
    return "whisper" if has_model else None
