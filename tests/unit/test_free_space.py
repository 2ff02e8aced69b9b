"""A disk that is nearly full: who is refused, who waits, who says so, and that it goes on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from core.access import local_token
from core.db.transactions import read_session
from core.errors import StorageFull, Unavailable
from core.filesystem import free_space
from core.filesystem.free_space import Space
from core.filesystem.metric_files import AllocatedDict
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import Channels, Stage
from core.storage import storage
from tasks import pipeline
from tasks.celery import app as celery_app
from tasks.steps import disk_space
from tests.factories.commands import parse_findings, run_command
from tests.factories.files import list_job_objects, list_scratch_files
from tests.factories.recordings import build_recording
from tests.factories.requests import SUBMIT_URL
from tests.faults import disk
from tests.faults.disk import Disk
from tests.unit.media import tone, write_wav
from transcribe_api.app import create_app
from transcribe_api.stack import supervisor
from transcribe_api.stack.supervisor import Component, Stack, StackError

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
    free_space.require_space(1024)
    with pytest.raises(StorageFull, match=r"after .* more"):
        free_space.require_space(TOO_MUCH)


def test_an_upload_is_refused_with_the_figure_and_nothing_is_kept(browser, monkeypatch):
    reserve(monkeypatch, TOO_MUCH)
    answer = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")})
    assert answer.status_code == 507
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["code"] == "storage_full"
    assert f"{TOO_MUCH / 1024**2:.1f} MiB must stay free" in answer.json["detail"]
    assert str(settings().transcribe_data_dir) not in answer.text
    assert (list_scratch_files(), list_job_objects()) == ([], [])

    reserve(monkeypatch, 0)
    assert browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")}).status_code == 202


def test_clients_of_openai_are_refused_in_their_shape(browser: FlaskClient, monkeypatch):
    reserve(monkeypatch, TOO_MUCH)
    answer = browser.post(
        "/v1/audio/transcriptions",
        data={"file": (build_recording(), "a.wav"), "model": "whisper-1"},
    )
    assert answer.status_code == 507
    assert answer.json["error"]["code"] == "storage_full"
    assert "must stay free" in answer.json["error"]["message"]


def test_readiness_and_doctor_say_so(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch):
    reserve(monkeypatch, TOO_MUCH)
    answer = browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["storage"] == "full"
    done = run_command("doctor")
    assert done.exit_code == 1
    assert parse_findings(done.output)["data directory"].startswith("BROKEN")
    assert "MIN_FREE_BYTES" in parse_findings(done.output)["data directory"]


def test_a_recording_waits_to_be_cut_and_its_job_goes_on_when_there_is_room(browser, monkeypatch):
    job_id = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")}).json["job_id"]
    # More often than a step is tried that fails: it waits as during an outage.
    full = [Space(10**12, 0)] * 2 * (settings().chunk_max_retries + 1)
    monkeypatch.setattr(pipeline, "fan_out", lambda job_id: None)
    monkeypatch.setattr(
        free_space, "measure_space", lambda _: full.pop() if full else Space(10**12, 10**12)
    )
    celery_app.loader.import_default_modules()
    celery_app.tasks["prepare"].apply(args=(job_id,))
    assert full == []
    with read_session() as session:
        job = lifecycle.get_job(session, job_id)
        assert (job.error_details, job.run.stage) == (None, Stage.LISTEN)


SPEC = JobSpec(engine="sphinx", diarizer="classic")


def test_pieces_count_beside_the_decoded_sound(monkeypatch):
    hour = 3600 * 32_000
    assert disk_space.estimate_bytes(SPEC, 3600, 2) == 3 * hour, "decoded, chunks and shards"
    assert disk_space.estimate_bytes(replace(SPEC, diarizer=None), 3600, 2) == 2 * hour
    separate = replace(SPEC, channels=Channels.SEPARATE)
    assert disk_space.estimate_bytes(separate, 3600, 2) == 2 * 2 * hour, "no shards"
    monkeypatch.setenv("MINIO_ENDPOINT", "elsewhere:9000")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "key")
    monkeypatch.setenv("MINIO_SECRET_KEY", "secret")
    settings.cache_clear()
    assert disk_space.estimate_bytes(SPEC, 3600, 2) == hour, "pieces go to another machine"


@pytest.mark.parametrize(("more", "has_room"), [(1024, True), (-1024, False)])
def test_a_recording_is_not_decoded_where_it_does_not_fit(monkeypatch, tmp_path, more, has_room):
    file = write_wav(tmp_path / "ten.wav", tone(10))
    reserve(monkeypatch, 5000)
    needed = disk_space.estimate_bytes(SPEC, 10, 1)
    monkeypatch.setattr(free_space, "measure_space", lambda _: Space(10**12, 5000 + needed + more))
    if has_room:
        disk_space.require_space(SPEC, file)
    else:
        with pytest.raises(StorageFull, match=r"after 0\.9 MiB more are written"):
            disk_space.require_space(SPEC, file)


def test_where_the_longest_fits_no_header_is_read(monkeypatch):
    monkeypatch.setattr(free_space, "measure_space", lambda _: Space(10**15, 10**15))
    disk_space.require_space(SPEC, Path("not there"))


def test_a_job_waits_to_be_cut_while_its_pieces_would_not_fit(browser, monkeypatch):
    job_id = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")}).json["job_id"]
    told = iter([True] * 3)
    monkeypatch.setattr(pipeline, "fan_out", lambda job_id: None)

    def require(*_: object) -> None:
        if next(told, False):
            raise StorageFull("no room")

    monkeypatch.setattr(disk_space, "require_space", require)
    celery_app.loader.import_default_modules()
    celery_app.tasks["prepare"].apply(args=(job_id,))
    with read_session() as session:
        job = lifecycle.get_job(session, job_id)
        assert (job.error_details, job.run.stage) == (None, Stage.LISTEN)


def test_recordings_that_lie_here_are_refused_as_uploads_are(browser, monkeypatch, tmp_path):
    """By their key in storage, and by their path."""
    storage().put_bytes("incoming/a.wav", build_recording().getvalue())
    file = tmp_path / "a.wav"
    file.write_bytes(build_recording().getvalue())
    monkeypatch.setenv("MEDIA_ROOTS", str(tmp_path))
    named = {"file_path": str(file), "output_dir": str(tmp_path / "out")}

    reserve(monkeypatch, TOO_MUCH)
    for answer in (
        browser.post(SUBMIT_URL, data={"source_key": "incoming/a.wav"}),
        browser.post("/process", json=named),
    ):
        assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
        assert "must stay free" in answer.json["detail"]
        assert "/" not in answer.json["detail"]
    assert list_job_objects() == []

    reserve(monkeypatch, 0)
    assert browser.post(SUBMIT_URL, data={"source_key": "incoming/a.wav"}).status_code == 202
    assert browser.post("/process", json=named).status_code == 202


def test_no_byte_left_is_too_few_whatever_the_reserve(monkeypatch):
    reserve(monkeypatch, 0)
    monkeypatch.setattr(free_space, "measure_space", lambda _: Space(10**12, 0))
    with pytest.raises(StorageFull, match=r"0\.0 MiB are free"):
        free_space.require_space()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EIO, Unavailable)]
)
def test_what_cannot_be_written_says_whether_it_is_for_want_of_room(number, kind):
    error = free_space.convert_error(
        OSError(number, os.strerror(number)), "the object cannot be kept"
    )
    assert type(error) is kind
    assert str(error) == f"the object cannot be kept: {os.strerror(number)}"


def test_a_service_that_is_started_without_a_free_byte_says_so(small_disk: Disk, monkeypatch):
    reserve(monkeypatch, 0)
    with small_disk.full():
        browser = create_app().test_client()
        assert local_token.read_token() is None
        answer = browser.get("/readyz")
        assert answer.status_code == 503
        assert answer.json["checks"]["database"] == answer.json["checks"]["storage"] == "full"
        answer = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")})
        assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
        assert "0.0 MiB are free" in answer.json["detail"]
        answer = browser.get("/api/transcribe/jobs")
        assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
    assert browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")}).status_code == 202
    create_app()
    assert local_token.read_token()


def test_a_start_without_a_free_byte_names_the_figures(small_disk: Disk, monkeypatch):
    reserve(monkeypatch, 0)
    with small_disk.full():
        done = run_command("up", "--port", "0")
        assert (done.exit_code, "Traceback" in done.output) == (3, False)
        assert "0.0 MiB are free, and 8.0 MiB are needed" in done.output
        assert str(small_disk.folder) in done.output


def test_an_upload_that_fills_the_disk_as_it_comes_in_is_stopped(browser, monkeypatch):
    monkeypatch.setattr(free_space, "CHECK_EVERY_BYTES", 1)
    looks = [Space(10**12, 10**12)]
    monkeypatch.setattr(
        free_space, "measure_space", lambda _: looks.pop() if looks else Space(10**12, 0)
    )
    answer = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")})
    assert answer.status_code == 507
    assert (list_scratch_files(), list_job_objects()) == ([], [])


def test_a_real_disk_that_fills_and_is_freed(small_disk: Disk, browser: FlaskClient):
    # The service runs already: its database is open.
    assert browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")}).status_code == 202
    with small_disk.full():
        answer = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")})
        assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
        assert "0.0 MiB are free, and 1.0 MiB must stay free" in answer.json["detail"]
    assert browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")}).status_code == 202
    form = {"file": (build_recording(seconds=300), "a.wav")}
    request = EnvironBuilder(SUBMIT_URL, method="POST", data=form).get_environ()
    with closing(request["wsgi.input"]):  # a large form is in a file of its own
        assert browser.open(request).status_code == 507, "it has no room beside the reserve"


#: Counts in a file of the folder, with the class that is named.
COUNT = """
import sys
from core.filesystem.metric_files import AllocatedDict
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
    monkeypatch.setattr(supervisor, "FULL_DISK_WAIT_SECONDS", 0.0)
    running = Stack(port=1)
    running.logs.mkdir(parents=True)
    ending = Component("ending", (sys.executable, "-c", "raise SystemExit(7)"))
    monkeypatch.setattr(running, "_list_components", lambda: [ending])
    starts: list[str] = []
    start = running._start_component

    def start_part(part: Component) -> None:
        starts.append(part.name)
        start(part)

    monkeypatch.setattr(running, "_start_component", start_part)
    running._start_component(ending)

    reserve(monkeypatch, TOO_MUCH)
    running.watch(lambda: len(starts) < supervisor.MAX_RESTARTS + 3)
    reserve(monkeypatch, 0)
    with pytest.raises(StackError, match="exit code 7"):
        running.watch()
