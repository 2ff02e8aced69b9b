"""Follows jobs until they are over, writes their results into folders, and tells who asked."""

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

from core import private_files
from transcribe_api.client import Client, ServiceError, Unreachable, is_over
from transcribe_api.transcribing import fetch

log = logging.getLogger(__name__)

#: Seconds from one look at all jobs to the next, at least; and a job's share of them: a service may
#: answer only so many requests a minute.
PACE = 1.0
SHARE = 0.2
#: Seconds until the service has counted a job that is over: it counts every two seconds or so.
COUNTED = 4.0


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job that is over."""

    job_id: str
    #: ``completed``, ``failed`` or ``cancelled``.
    status: str
    #: UTC, in ISO 8601.
    completed_at: str | None
    #: As it was handed in.
    file_path: str
    #: Where the results lie, if it is completed.
    output_dir: str
    #: Why it has failed.
    error: str | None = None


@dataclass(slots=True)
class _Followed:
    file_path: str
    output_dir: Path
    finished: FinishedJob | None = None


class Follower:
    """One thread that follows all jobs. `begin` it, and `end` it."""

    def __init__(
        self,
        client: Client,
        callbacks: Sequence[Callable[[FinishedJob], object]],
        journal: Path | None,
        log_interval: float | None,
    ) -> None:
        """*journal*: a file that remembers unfinished jobs; *log_interval*: seconds, or never."""
        self.client = client
        self._callbacks = callbacks
        self._journal = journal
        self._log_interval = log_interval
        self._logged_at = time.monotonic()
        self._jobs: dict[str, _Followed] = {}
        #: Guards the jobs, and says when one has ended with all that belongs to it.
        self._changed = threading.Condition()
        self._open: set[str] = set()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-follower", daemon=True)

    def begin(self) -> None:
        """Start, with the jobs of the journal."""
        if self._journal is not None and self._journal.exists():
            for job_id, (file_path, output_dir) in json.loads(self._journal.read_text()).items():
                self.follow(job_id, file_path, output_dir)
        self._thread.start()

    def end(self) -> None:
        """Stop. What a callback is doing is waited for, unless it is the caller."""
        self._is_ending.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def follow(self, job_id: str, file_path: Path | str, output_dir: Path | str) -> None:
        """Write the results of a job into a folder, when it is completed."""
        with self._changed:
            self._jobs[job_id] = _Followed(str(file_path), Path(output_dir).resolve())
            self._open.add(job_id)
            self._write_journal()

    def status(self, job_id: str) -> dict[str, Any]:
        """What the service says, but nothing is over before its results are written."""
        told = self.client.status(job_id)
        with self._changed:
            job = self._jobs.get(job_id)
        if job is None:
            return told
        told |= {"file_path": job.file_path, "output_dir": str(job.output_dir)}
        if job.finished is not None:
            message = job.finished.error or told["message"]
            return {**told, "status": job.finished.status, "message": message}
        if not is_over(told):
            return told
        nearly = {"status": "processing", "message": "Writing the results"}
        return {**told, **nearly, "progress": min(told["progress"], 99)}

    def system_status(self) -> dict[str, Any]:
        """What the service says; the jobs that were told to be over are among those it counts."""
        over = sum(job.finished is not None for job in list(self._jobs.values()))
        deadline = time.monotonic() + COUNTED
        while True:
            told = self.client.system_status()
            counted = told["orchestrator_stats"]["total_jobs_processed"]
            if counted >= over or time.monotonic() > deadline:
                return told
            time.sleep(PACE / 4)

    def wait(self, timeout: float | None) -> bool:
        """Wait until no job is open, or *timeout* seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout)

    def _run(self) -> None:
        while not self._is_ending.wait(max(PACE, SHARE * len(self._open))):
            with self._changed:
                still_open = list(self._open)
            for job_id in still_open:
                if self._is_ending.is_set():
                    return
                self._look_at(job_id)
            self._log_now_and_then()

    def _look_at(self, job_id: str) -> None:
        """Finish the job if it is over; when the service cannot tell, look again later."""
        job = self._jobs[job_id]
        with suppress(Unreachable):
            told = self._told(job_id)
            if told is not None and is_over(told):
                self._finish(job, self._with_results(job_id, job, told))

    def _told(self, job_id: str) -> dict[str, Any] | None:
        try:
            return self.client.status(job_id)
        except ServiceError as error:
            if error.status != 404:  # too many requests, or it cannot answer now
                return None
            return {"status": "cancelled", "message": "", "completed_at": None}

    def _with_results(self, job_id: str, job: _Followed, told: dict[str, Any]) -> FinishedJob:
        status, error = told["status"], told["message"] if told["status"] == "failed" else None
        if status == "completed":
            try:
                fetch(self.client, job_id, job.output_dir)
            except (ServiceError, OSError) as reason:
                status, error = "failed", f"the results could not be written: {reason}"
        return FinishedJob(
            job_id, status, told["completed_at"], job.file_path, str(job.output_dir), error
        )

    def _finish(self, job: _Followed, finished: FinishedJob) -> None:
        job.finished = finished
        log.info("job %s: %s %s", finished.job_id, finished.file_path, finished.status)
        for callback in list(self._callbacks):
            try:
                callback(finished)
            except Exception:
                log.exception("the callback of job %s failed", finished.job_id)
        with self._changed:
            self._open.discard(finished.job_id)
            self._write_journal()
            self._changed.notify_all()

    def _write_journal(self) -> None:
        if self._journal is None:
            return
        jobs = {one: self._jobs[one] for one in self._open}
        told = {one: [job.file_path, str(job.output_dir)] for one, job in jobs.items()}
        half = self._journal.with_suffix(".new")
        private_files.write_text(half, json.dumps(told))
        half.replace(self._journal)

    def _log_now_and_then(self) -> None:
        now = time.monotonic()
        if self._log_interval is None or now - self._logged_at < self._log_interval:
            return
        self._logged_at = now
        with suppress(ServiceError, Unreachable):
            told = self.client.system_status()
            machine = told["resource_manager"]
            log.info(
                "%s jobs active, %s completed; %.1f GB of memory, %.0f %% of the processors used",
                *(told["active_jobs"], told["completed_jobs"]),
                *(machine["memory"]["used_gb"], machine["cpu"]["percent"]),
            )
