"""A disk that is nearly full: who is refused, who waits, who says so, and that it goes on."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from core import free_space, jobs
from core.db import reading
from core.errors import StorageFull
from core.free_space import Space
from core.metric_files import AllocatedDict
from core.settings import settings
from core.states import Stage
from tasks import pipeline
from tasks.celery import app as celery_app
from tests.faults import disk
from tests.faults.disk import Disk
from tests.unit.test_doctor import run, told
from tests.unit.test_rest import URL, objects, recording, scratch
from transcribe_api import stack
from transcribe_api.app import create_app
from transcribe_api.stack import Part, Stack, StackError

pytestmark = pytest.mark.usefixtures("database")

#: More than any disk has.
TOO_MUCH = 1 << 60


@pytest.fixture
def browser() -> FlaskClient:
    """Of an application that has a database."""
    return create_app().test_client()


@pytest.fixture
def small_disk(data_dir: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The data directory, with an empty database, on a disk of its own."""
    with disk.small(data_dir, megabytes=8) as made:
        if not made.can_be_filled:
            pytest.skip("only root may mount a disk that can be filled")
        shutil.copy(migrated, data_dir)
        reserve(monkeypatch, 1024 * 1024)
        yield made


def reserve(monkeypatch: pytest.MonkeyPatch, least: int | None) -> None:
    if least is None:
        monkeypatch.delenv("MIN_FREE_BYTES", raising=False)
    else:
        monkeypatch.setenv("MIN_FREE_BYTES", str(least))
    settings.cache_clear()


@pytest.mark.parametrize(
    ("total", "expected"), [(10**9, 512 * 1024**2), (10**12, 2 * 10**10), (0, 512 * 1024**2)]
)
def test_the_usual_reserve_is_the_larger_of_a_figure_and_a_share(monkeypatch, total, expected):
    reserve(monkeypatch, None)
    assert free_space.compute_reserve(total) == expected


def test_a_figure_of_the_operator_is_the_reserve_whatever_the_disk(monkeypatch):
    reserve(monkeypatch, 0)
    assert free_space.compute_reserve(10**12) == 0
    assert free_space.find_shortage() is None


def test_what_is_about_to_be_written_counts(monkeypatch):
    reserve(monkeypatch, 1)
    free_space.require(1024)
    with pytest.raises(StorageFull, match=r"after .* more"):
        free_space.require(TOO_MUCH)


def test_an_upload_is_refused_with_the_figure_and_nothing_is_kept(browser, monkeypatch):
    reserve(monkeypatch, TOO_MUCH)
    answer = browser.post(URL, data={"file": (recording(), "a.wav")})
    assert answer.status_code == 507
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["code"] == "storage_full"
    assert f"{TOO_MUCH / 1024**2:.1f} MiB must stay free" in answer.json["detail"]
    assert str(settings().transcribe_data_dir) not in answer.text
    assert (scratch(), objects()) == ([], [])

    reserve(monkeypatch, 0)
    assert browser.post(URL, data={"file": (recording(), "a.wav")}).status_code == 202


def test_clients_of_openai_are_refused_in_their_shape(browser: FlaskClient, monkeypatch):
    reserve(monkeypatch, TOO_MUCH)
    answer = browser.post(
        "/v1/audio/transcriptions", data={"file": (recording(), "a.wav"), "model": "whisper-1"}
    )
    assert answer.status_code == 507
    assert answer.json["error"]["code"] == "storage_full"
    assert "must stay free" in answer.json["error"]["message"]


def test_readiness_and_doctor_say_so(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    reserve(monkeypatch, TOO_MUCH)
    answer = browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["storage"] == "full"
    done = run("doctor")
    assert done.exit_code == 1
    assert told(done.output)["data directory"].startswith("BROKEN")
    assert "MIN_FREE_BYTES" in told(done.output)["data directory"]


def test_a_recording_waits_to_be_cut_and_its_job_goes_on_when_there_is_room(browser, monkeypatch):
    job_id = browser.post(URL, data={"file": (recording(), "a.wav")}).json["job_id"]
    # More often than a step is tried that fails: it waits as during an outage.
    full = [Space(10**12, 0)] * 2 * (settings().chunk_max_retries + 1)
    monkeypatch.setattr(pipeline, "fan_out", lambda job_id: None)
    monkeypatch.setattr(
        free_space, "measure", lambda _: full.pop() if full else Space(10**12, 10**12)
    )
    celery_app.loader.import_default_modules()
    celery_app.tasks["prepare"].apply(args=(job_id,))
    assert full == []
    with reading() as session:
        job = jobs.get(session, job_id)
        assert (job.error_details, job.run.stage) == (None, Stage.LISTEN)


def test_an_upload_that_fills_the_disk_as_it_comes_in_is_stopped(browser, monkeypatch):
    monkeypatch.setattr(free_space, "LOOK_EVERY", 1)
    looks = [Space(10**12, 10**12)]
    monkeypatch.setattr(free_space, "measure", lambda _: looks.pop() if looks else Space(10**12, 0))
    answer = browser.post(URL, data={"file": (recording(), "a.wav")})
    assert answer.status_code == 507
    assert (scratch(), objects()) == ([], [])


def test_a_real_disk_that_fills_and_is_freed(small_disk: Disk, browser: FlaskClient):
    # The service runs already: its database is open.
    assert browser.post(URL, data={"file": (recording(), "a.wav")}).status_code == 202
    with small_disk.full():
        answer = browser.post(URL, data={"file": (recording(), "a.wav")})
        assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
        assert "0.0 MiB are free, and 1.0 MiB must stay free" in answer.json["detail"]
    assert browser.post(URL, data={"file": (recording(), "a.wav")}).status_code == 202
    form = {"file": (recording(seconds=300), "a.wav")}
    request = EnvironBuilder(URL, method="POST", data=form).get_environ()
    with closing(request["wsgi.input"]):  # a large form is in a file of its own
        assert browser.open(request).status_code == 507, "it has no room beside the reserve"


#: Counts in a file of the folder, with the class that is named.
COUNT = """
import sys
from core.metric_files import AllocatedDict
from prometheus_client.mmap_dict import MmapedDict

counts = globals()[sys.argv[1]](sys.argv[2])
for number in range(10_000):
    counts.write_value(f"key {number}", number, 0.0)
assert counts.read_value("key 9999")[0] == 9999
print(counts.read_value("key 7")[0])
"""


def count(kind: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COUNT, kind, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_process_that_counts_survives_a_full_disk(small_disk: Disk):
    with small_disk.full():
        theirs = count("MmapedDict", small_disk.folder / "counter_1.db")
        assert theirs.returncode == -signal.SIGBUS, "or our class is not needed any more"
        file = small_disk.folder / "counter_2.db"
        ours = count("AllocatedDict", file)
        assert (ours.returncode, ours.stdout) == (0, "7.0\n"), ours.stderr
        assert not file.exists()
    ours = count("AllocatedDict", file)
    assert (ours.returncode, ours.stdout) == (0, "7.0\n"), ours.stderr
    kept = {key: value for key, value, *_ in AllocatedDict.read_all_values_from_file(str(file))}
    assert len(kept) == 10_000


def test_the_stack_does_not_give_up_while_the_disk_is_full(monkeypatch, data_dir: Path):
    monkeypatch.setattr(stack, "FULL_DISK_WAIT", 0.0)
    running = Stack(port=1)
    running.logs.mkdir(parents=True)
    ending = Part("ending", (sys.executable, "-c", "raise SystemExit(7)"))
    monkeypatch.setattr(running, "_parts", lambda: [ending])
    starts: list[str] = []
    start = running._start_part

    def start_part(part: Part) -> None:
        starts.append(part.name)
        start(part)

    monkeypatch.setattr(running, "_start_part", start_part)
    running._start_part(ending)

    reserve(monkeypatch, TOO_MUCH)
    running.watch(lambda: len(starts) < stack.MOST_RESTARTS + 3)
    reserve(monkeypatch, 0)
    with pytest.raises(StackError, match="exit code 7"):
        running.watch()
