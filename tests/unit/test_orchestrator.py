"""What the orchestrator asks a service for, and what it makes of the answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests import receiver
from tests.receiver import Receiver, Request
from transcribe_api.client import ServiceError
from transcribe_api.orchestrator import (
    DiarizationOrchestrator,
    FinishedJob,
    JobPriority,
    OrchestratorConfig,
)

ID = "7d3e5a62-5a58-4a0e-8a3e-0d6a7f0c5d11"


class Service:
    """Answers as a service does that has one job."""

    def __init__(self) -> None:
        self.has_whisperx = True
        self.statuses: list[tuple[int, dict]] = []
        self.submission = (202, {"job_id": ID})

    def answer(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        status, told = self._told(request.path.partition("?")[0])
        receiver.reply(handler, status, json.dumps(told).encode())

    def _told(self, path: str) -> tuple[int, dict]:
        if path.endswith("/engines"):
            engines = {
                "whisperx": {"available": self.has_whisperx},
                "whisper": {"available": True, "models_here": ["base"]},
            }
            return 200, {"engines": engines, "default_engine": "sphinx"}
        if path.endswith("/transcribe"):
            return self.submission
        if "/status/" in path:
            return self.statuses[0] if len(self.statuses) == 1 else self.statuses.pop(0)
        return 200, {"artefacts": []}


def state(status: str, **more: object) -> tuple[int, dict]:
    told = {"job_id": ID, "status": status, "message": status, "progress": 100}
    return 200, {**told, "completed_at": "2026-01-01T00:00:00Z", **more}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def server(service: Service) -> Iterator[Receiver]:
    with receiver.listening(service.answer) as server:
        yield server


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    (tmp_path / "talk.wav").write_bytes(b"sound")
    return tmp_path / "talk.wav"


def form(server: Receiver) -> str:
    [one] = [one for one in server.requests if one.path.endswith("/transcribe")]
    return one.body.decode().replace("\r\n\r\n", "=").replace("\r\n", " ")


def test_a_model_of_whisper_chooses_its_engine_where_it_is(
    service: Service, server: Receiver, recording: Path
):
    service.statuses = [state("failed")]
    config = OrchestratorConfig(whisper_model="large-v3", max_speakers=4, language="pt")
    with DiarizationOrchestrator(config, url=server.url) as orchestrator:
        orchestrator.submit_job(recording, recording.parent, JobPriority.LOW)
    for field in ('"engine"=whisperx', '"model"=large-v3', '"max_speakers"=4', '"priority"=low'):
        assert field in form(server)


def test_a_model_that_lies_on_a_workers_machine_is_heard_with_by_whisper(
    service: Service, server: Receiver, recording: Path
):
    service.has_whisperx = False
    service.statuses = [state("failed")]
    config = OrchestratorConfig(whisper_model="base")
    with DiarizationOrchestrator(config, url=server.url) as orchestrator:
        orchestrator.process_file(recording, recording.parent)
    assert '"engine"=whisper ' in form(server)
    assert '"model"=base' in form(server)


@pytest.mark.parametrize("engine", [None, "sphinx"])
def test_without_it_another_engine_hears_and_a_line_says_so(
    service: Service, server: Receiver, recording: Path, engine: str | None,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    service.has_whisperx = engine is not None
    service.statuses = [state("failed")]
    config = OrchestratorConfig(whisper_model="large-v3", engine=engine)
    with (
        caplog.at_level(logging.WARNING),
        DiarizationOrchestrator(config, url=server.url) as orchestrator,
    ):
        orchestrator.process_file(recording, recording.parent)
    assert "large-v3" not in form(server)
    assert "using sphinx without large-v3" in caplog.text


def test_the_end_is_told_once_whatever_was_answered_on_the_way(
    service: Service, server: Receiver, recording: Path
):
    busy = (429, {"code": "rate_limited", "detail": "too many requests"})
    service.statuses = [state("processing"), busy, state("failed", message="no speech engine")]
    heard: list[FinishedJob] = []
    with DiarizationOrchestrator(url=server.url) as orchestrator:
        orchestrator.add_job_completion_callback(heard.append)
        job_id = orchestrator.process_file(recording, recording.parent / "out")
        assert orchestrator.wait(timeout=60)
        assert orchestrator.get_job_status(job_id)["message"] == "no speech engine"
    out = str(recording.parent / "out")
    ended = FinishedJob(
        ID, "failed", "2026-01-01T00:00:00Z", str(recording), out, "no speech engine"
    )
    assert heard == [ended]


def test_a_job_that_was_deleted_is_over(service: Service, server: Receiver, recording: Path):
    service.statuses = [(404, {"code": "not_found", "detail": "there is no such job"})]
    heard: list[FinishedJob] = []
    with DiarizationOrchestrator(url=server.url) as orchestrator:
        orchestrator.add_job_completion_callback(heard.append)
        orchestrator.process_file(recording, recording.parent)
        assert orchestrator.wait(timeout=60)
    assert [job.status for job in heard] == ["cancelled"]


def test_a_refusal_is_told_to_who_hands_in(service: Service, server: Receiver, recording: Path):
    service.submission = (422, {"code": "empty_file", "detail": "the file is empty"})
    with DiarizationOrchestrator(url=server.url) as orchestrator:
        with pytest.raises(ServiceError, match="is empty"):
            orchestrator.process_file(recording, recording.parent)
        with pytest.raises(FileNotFoundError):
            orchestrator.process_file("missing.wav", recording.parent)
        assert orchestrator.wait(timeout=0)


def test_a_wait_may_be_too_short(service: Service, server: Receiver, recording: Path):
    service.statuses = [state("processing")]
    with DiarizationOrchestrator(url=server.url) as orchestrator:
        orchestrator.process_file(recording, recording.parent)
        assert not orchestrator.wait(timeout=0.01)


def test_a_callback_may_ask_and_even_close(service: Service, server: Receiver, recording: Path):
    service.statuses = [state("failed")]
    orchestrator = DiarizationOrchestrator(url=server.url)
    told: list[str] = []

    def close(job: FinishedJob) -> None:
        told.append(orchestrator.get_job_status(job.job_id)["status"])
        orchestrator.close()

    orchestrator.add_job_completion_callback(close)
    follower = orchestrator._ensure_started()
    orchestrator.process_file(recording, recording.parent)
    assert follower.wait(timeout=60)
    assert told == ["failed"]


@pytest.mark.parametrize("wrong", [{"max_concurrent_jobs": 0}, {"log_interval": 0}])
def test_a_wrong_configuration_names_what_is_wrong(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OrchestratorConfig(**wrong)
