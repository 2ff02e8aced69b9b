"""Follow jobs until they are over, write their results into folders, and call callbacks."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.filesystem import private_files
from transcribe_api.client import Client, ServiceError, Unreachable, is_over
from transcribe_api.python.batch_client import fetch_results

log = logging.getLogger(__name__)

#: Minimum seconds between two checks of all jobs, and additional seconds per job, since a service
#: may limit requests per minute.
POLL_SECONDS = 1.0
POLL_SECONDS_PER_JOB = 0.2
#: Seconds until the service's statistics include a finished job; they are updated about every two
#: seconds.
STATISTICS_LAG_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job that is over."""

    job_id: str
    #: ``completed``, ``failed`` or ``cancelled``.
    status: str
    #: UTC, in ISO 8601.
    completed_at: str | None
    #: As it was submitted.
    file_path: str
    #: Folder of the results, if completed.
    output_dir: str
    #: Why it failed.
    error: str | None = None


@dataclass(slots=True)
class _FollowedJob:
    file_path: str
    output_dir: Path
    finished: FinishedJob | None = None


class JobFollower:
    """One thread that follows all jobs. Call `start` and `stop`."""

    def __init__(
        self,
        client: Client,
        callbacks: Sequence[Callable[[FinishedJob], object]],
        journal: Path | None,
        log_interval: float | None,
    ) -> None:
        """Record unfinished jobs in *journal*; *log_interval*: seconds, or None to log nothing."""
        self.client = client
        self._callbacks = callbacks
        self._journal = journal
        self._log_interval = log_interval
        self._logged_at = time.monotonic()
        self._jobs: dict[str, _FollowedJob] = {}
        #: Guards the jobs, and signals when one has ended including its callbacks.
        self._changed = threading.Condition()
        self._open_jobs: set[str] = set()
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-follower", daemon=True)

    def start(self) -> None:
        """Start, with the jobs of the journal."""
        if self._journal is not None and self._journal.exists():
            for job_id, (file_path, output_dir) in json.loads(self._journal.read_text()).items():
                self.follow(job_id, file_path, output_dir)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a running callback unless it is the caller."""
        self._stop_event.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def follow(self, job_id: str, file_path: Path | str, output_dir: Path | str) -> None:
        """Write the results of a job into a folder when it completes."""
        with self._changed:
            self._jobs[job_id] = _FollowedJob(str(file_path), Path(output_dir).resolve())
            self._open_jobs.add(job_id)
            self._write_journal()

    def get_status(self, job_id: str) -> dict[str, Any]:
        """Return the job's status; it is not over before its results are written."""
        status = self.client.status(job_id)
        with self._changed:
            job = self._jobs.get(job_id)
        if job is None:
            return status
        status |= {"file_path": job.file_path, "output_dir": str(job.output_dir)}
        if job.finished is not None:
            message = job.finished.error or status["message"]
            return {**status, "status": job.finished.status, "message": message}
        if not is_over(status):
            return status
        unfinished = {"status": "processing", "message": "Writing the results"}
        return {**status, **unfinished, "progress": min(status["progress"], 99)}

    def get_system_status(self) -> dict[str, Any]:
        """Return the service's status, once its statistics include all jobs reported as over."""
        finished_count = sum(job.finished is not None for job in list(self._jobs.values()))
        deadline = time.monotonic() + STATISTICS_LAG_SECONDS
        while True:
            status = self.client.system_status()
            counted_jobs = status["orchestrator_stats"]["total_jobs_processed"]
            if counted_jobs >= finished_count or time.monotonic() > deadline:
                return status
            time.sleep(POLL_SECONDS / 4)

    def wait(self, timeout: float | None) -> bool:
        """Wait until no job is open, or *timeout* seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open_jobs, timeout)

    def _run(self) -> None:
        while not self._stop_event.wait(
            max(POLL_SECONDS, POLL_SECONDS_PER_JOB * len(self._open_jobs))
        ):
            with self._changed:
                still_open = list(self._open_jobs)
            for job_id in still_open:
                if self._stop_event.is_set():
                    return
                self._check_job(job_id)
            self._log_periodically()

    def _check_job(self, job_id: str) -> None:
        """Finish the job if it is over; if the service cannot answer, retry later."""
        job = self._jobs[job_id]
        with suppress(Unreachable):
            status = self._fetch_status(job_id)
            if status is not None and is_over(status):
                self._complete_job(job, self._collect_results(job_id, job, status))

    def _fetch_status(self, job_id: str) -> dict[str, Any] | None:
        try:
            return self.client.status(job_id)
        except ServiceError as error:
            if error.status != 404:  # too many requests, or a temporary failure
                return None
            return {"status": "cancelled", "message": "", "completed_at": None}

    def _collect_results(
        self, job_id: str, job: _FollowedJob, job_status: dict[str, Any]
    ) -> FinishedJob:
        status, error = (
            job_status["status"],
            job_status["message"] if job_status["status"] == "failed" else None,
        )
        if status == "completed":
            try:
                fetch_results(self.client, job_id, job.output_dir)
            except (ServiceError, OSError) as reason:
                status, error = "failed", f"the results could not be written: {reason}"
        return FinishedJob(
            job_id, status, job_status["completed_at"], job.file_path, str(job.output_dir), error
        )

    def _complete_job(self, job: _FollowedJob, finished: FinishedJob) -> None:
        job.finished = finished
        log.info("job %s: %s %s", finished.job_id, finished.file_path, finished.status)
        for callback in list(self._callbacks):
            try:
                callback(finished)
            except Exception:
                log.exception("the callback of job %s failed", finished.job_id)
        with self._changed:
            self._open_jobs.discard(finished.job_id)
            self._write_journal()
            self._changed.notify_all()

    def _write_journal(self) -> None:
        if self._journal is None:
            return
        jobs = {job_id: self._jobs[job_id] for job_id in self._open_jobs}
        entries = {job_id: [job.file_path, str(job.output_dir)] for job_id, job in jobs.items()}
        temporary = self._journal.with_suffix(".new")
        private_files.write_text(temporary, json.dumps(entries))
        temporary.replace(self._journal)

    def _log_periodically(self) -> None:
        now = time.monotonic()
        if self._log_interval is None or now - self._logged_at < self._log_interval:
            return
        self._logged_at = now
        with suppress(ServiceError, Unreachable):
            status = self.client.system_status()
            machine = status["resource_manager"]
            log.info(
                "%s jobs active, %s completed; %.1f GB of memory, %.0f %% of the processors used",
                *(status["active_jobs"], status["completed_jobs"]),
                *(machine["memory"]["used_gb"], machine["cpu"]["percent"]),
            )
