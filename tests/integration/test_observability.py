"""Whoever operates the service can see what it does: logs, metrics, status and Flower."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.storage import layout
from tests.integration.conftest import (
    SAMPLE,
    RunningStack,
    started,
    wait_until,
)
from transcribe_api.client import Client

pytestmark = [pytest.mark.processes, pytest.mark.own_stack, pytest.mark.sphinx]

PASSWORD = "open-sesame-open"
TASKS = {"prepare", "transcribe_chunk", "diarize", "merge"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of its own, since these tests read all that it has written."""
    folder = tmp_path_factory.mktemp("watched")
    with started(
        folder, FLOWER_BASIC_AUTH=f"admin:{PASSWORD}", MEDIA_ROOTS=str(folder / "media")
    ) as running:
        yield running


@pytest.fixture(scope="module")
def flower(watched: RunningStack) -> Iterator[httpx2.Client]:
    address = json.loads((watched.data_dir / "stack.json").read_text())["flower"]
    with httpx2.Client(base_url=address, auth=("admin", PASSWORD), timeout=60) as client:
        wait_until(lambda: answers(client))
        yield client


def answers(client: httpx2.Client) -> bool:
    """Whether it is there and hears of workers, and from them what they do."""
    try:
        tasks = client.get("/api/tasks").json().values()
        done = any(one["state"] == "SUCCESS" for one in tasks)
        return done and bool(client.get("/api/workers").json())
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def job_id(watched: RunningStack, flower: httpx2.Client) -> str:
    """A job that is completed, sent under a name of its own, with Flower already looking."""
    with SAMPLE.open("rb") as file:
        answer = httpx2.post(
            f"{watched.url}/api/transcribe/jobs/transcribe",
            files={"file": ("a.flac", file)},
            headers={"X-Request-ID": "the-request"},
            timeout=60,
        )
    job_id = answer.json()["job_id"]
    with Client(watched.url) as client:
        *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    return job_id


def lines(stack: RunningStack) -> list[tuple[str, str]]:
    """Every line that a process of ours wrote, with the name of its file."""
    logs = stack.data_dir / "logs"
    # Redis has a form of its own.
    files = [path for path in sorted(logs.glob("*.log")) if path.stem != "redis"]
    assert {"api", "beat", "control", "prepare", "asr.sphinx"} <= {path.stem for path in files}
    return [(path.stem, line) for path in files for line in path.read_text().splitlines()]


def test_every_line_is_json_and_says_which_job_it_is_about(watched: RunningStack, job_id: str):
    about = set()
    for name, line in lines(watched):
        told = json.loads(line)
        if job_id in line:
            assert told["job_id"] == job_id, line
            about.add(name)
    assert about >= {"api", "control", "prepare", "asr.sphinx", "diarize.classic"}


def test_lines_of_steps_name_the_request_and_the_place(watched: RunningStack, job_id: str):
    # A worker tells that a step is over after it made that known to everybody else.
    wait_until(lambda: {one["step"] for one in succeeded(watched, job_id)} >= TASKS)
    done = succeeded(watched, job_id)
    chunks = [one for one in done if one["step"] == "transcribe_chunk"]
    assert {one["position"] for one in chunks} >= {0, 1, 2}
    assert any(one.get("request_id") == "the-request" for one in chunks)
    assert all(one["task_id"] for one in done)


def succeeded(stack: RunningStack, job_id: str) -> list[dict]:
    """The lines that tell of a step of this job that it succeeded."""
    told = [json.loads(line) for _, line in lines(stack)]
    return [one for one in told if one.get("job_id") == job_id and "succeeded" in one["event"]]


def test_no_secret_is_in_any_line(watched: RunningStack, job_id: str):
    assert [line for _, line in lines(watched) if PASSWORD in line] == []


def test_what_workers_counted_comes_out_at_one_address(watched: RunningStack, job_id: str):
    with Client(watched.url) as client:
        chunks = client.status(job_id)["chunks_total"]

    def counted(name: str, label: str) -> float:
        return sum(shown(watched, name, label).values())

    # Workers tell every few seconds; a chunk that was sent twice may count twice.
    wait_until(lambda: counted("transcribe_real_time_factor_count", "sphinx") >= chunks)
    wait_until(lambda: counted("transcribe_step_seconds_count", "merge") >= 1)
    wait_until(lambda: counted("transcribe_jobs_ended_total", "completed") >= 1)
    assert shown(watched, "transcribe_jobs_accepted_total", "sphinx")
    assert shown(watched, "transcribe_queue_workers", "asr.sphinx") == {"": 1.0}
    wait_until(lambda: shown(watched, "transcribe_queue_messages", "asr.sphinx") == {"": 0.0})
    memory = shown(watched, "transcribe_memory_bytes", "pool")
    assert memory[next(name for name in memory if name.startswith("asr.sphinx@"))] > 10_000_000


def test_a_worker_that_is_gone_is_shown_no_more_and_its_successor_is(watched: RunningStack):
    found = watched.workers("prepare")
    [worker] = [one for one in found if one.ppid() == watched.process.pid]
    before = started_at(watched, "prepare@")
    worker.kill()
    wait_until(lambda: started_at(watched, "prepare@") not in (None, before))


def started_at(stack: RunningStack, name: str) -> str | None:
    workers = status(stack)["workers"]
    return next((one["started_at"] for one in workers if one["name"].startswith(name)), None)


def test_the_status_knows_queues_and_workers(watched: RunningStack, job_id: str):
    # A chunk that was sent twice may still wait when its job is over.
    wait_until(lambda: status(watched)["queues"]["asr.sphinx"] == {"waiting": 0, "workers": 1})
    now = status(watched)
    assert now["jobs"]["completed"] >= 1
    assert now["orchestrator_stats"]["average_processing_time"] > 0


def test_a_file_of_this_machine_is_transcribed_beside_itself(
    watched: RunningStack, beginning: Path
):
    media = watched.data_dir / "media"
    media.mkdir()
    shutil.copy(beginning, media / "talk.wav")
    asked = {"file_path": str(media / "talk.wav"), "output_dir": str(media / "out")}
    job_id = httpx2.post(f"{watched.url}/process", json=asked, timeout=60).json()["job_id"]
    state: dict = {}

    def is_over() -> bool:
        state.update(httpx2.get(f"{watched.url}/status/{job_id}", timeout=60).json())
        return state["status"] in ("completed", "failed")

    wait_until(is_over)
    assert (state["status"], state["warnings"]) == ("completed", [])
    files = {str(path.relative_to(media / "out")) for path in (media / "out").rglob("*.*")}
    assert files > {*layout.ARTEFACTS, "chunks/chunk_0000.wav", "chunks/chunks_metadata.json"}


@pytest.mark.parametrize("path", ["/", "/workers", "/tasks", "/api/workers", "/api/tasks"])
def test_flower_answers_nobody_without_a_password(flower: httpx2.Client, path: str):
    assert httpx2.get(f"{flower.base_url}{path}", timeout=60).status_code == 401
    assert (
        httpx2.get(f"{flower.base_url}{path}", auth=("admin", "x"), timeout=60).status_code == 401
    )


def test_flower_knows_the_workers_and_their_queues(flower: httpx2.Client, watched: RunningStack):
    def queues() -> set[str]:
        told = flower.get("/api/workers", params={"refresh": "true"}).json()
        return {queue["name"] for one in told.values() for queue in one.get("active_queues", ())}

    wait_until(lambda: queues() >= {"prepare", "asr.sphinx", "diarize.classic", "merge", "control"})
    lengths = flower.get("/api/queues/length").json()["active_queues"]
    assert {one["name"] for one in lengths} >= {"prepare", "asr.sphinx"}
    assert all(one["messages"] >= 0 for one in lengths)


def test_flower_shows_the_steps_of_a_job(flower: httpx2.Client, watched: RunningStack, job_id: str):
    wait_until(lambda: set(tasks_of(flower, job_id)) >= TASKS)


def tasks_of(flower: httpx2.Client, job_id: str) -> list[str]:
    told = flower.get("/api/tasks", params={"limit": 1000}).json()
    return [one["name"] for one in told.values() if job_id in (one["args"] or "")]


def status(stack: RunningStack) -> dict:
    return httpx2.get(f"{stack.url}/api/transcribe/system/status", timeout=60).json()


def shown(stack: RunningStack, name: str, label: str) -> dict[str, float]:
    """Values of a sample that has this label, by worker."""
    text = httpx2.get(f"{stack.url}/metrics", timeout=60).text
    return {
        sample.labels.get("worker", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and label in sample.labels.values()
    }
