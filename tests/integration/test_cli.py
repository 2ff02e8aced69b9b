"""The command line as it is typed: what it writes, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from docx import Document

from tests.integration.conftest import (
    SAMPLE,
    TRANSCRIBE,
    RunningStack,
    clean_environment,
    wait_until,
    write_sample,
)
from transcribe_api.cli import bench, service
from transcribe_api.client import Client, ServiceError

pytestmark = pytest.mark.processes

README = SAMPLE.parents[1] / "README.md"
NO_JOB = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_sample(folder / "first.wav", seconds=8)
    write_sample(folder / "second.wav", seconds=8)
    (folder / "letter.mp3").write_text("Dear Sir or Madam")
    return folder


def typed(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TRANSCRIBE, *words],
        env=clean_environment(**settings), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def job(stack: RunningStack, folder: Path) -> str:
    """One that is completed."""
    with Client(stack.url) as client:
        job_id = client.submit(folder / "first.wav")["job_id"]
        *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    return str(job_id)


def test_many_files_in_chosen_formats_told_to_programs(
    stack: RunningStack, folder: Path, tmp_path: Path
):
    done = typed(
        folder / "first.wav", folder / "second.wav", "-o", tmp_path, "--json", "--url", stack.url,
        *("--format", "srt,docx,JSON", "--speakers", "1-3", "--priority", "high"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = lines(done.stdout)
    files = {str(folder / name) for name in ("first.wav", "second.wav")}
    assert {one["file"] for one in told if one["event"] == "sending"} == files
    ended = {one["file"]: one for one in told if one["event"] == "completed"}
    assert ended.keys() == files
    assert {one["event"] for one in told} == {"sending", "status", "completed"}
    for name in ("first", "second"):
        out = tmp_path / name
        assert ended[str(folder / f"{name}.wav")]["output"] == str(out)
        names = {path.name for path in out.iterdir()}
        assert names == {"transcription.srt", "transcription.docx", "transcription.json"}
        result = json.loads((out / "transcription.json").read_text())
        assert "-->" in (out / "transcription.srt").read_text()
        assert Document(str(out / "transcription.docx")).paragraphs
        stored = asked_for(stack, result["job_id"])
        assert (stored["min_speakers"], stored["max_speakers"]) == (1, 3)
        assert stored["priority"] == "high"


def asked_for(stack: RunningStack, job_id: str) -> dict:
    with closing(sqlite3.connect(stack.data_dir / "transcribe.db")) as records:
        query = "SELECT engine_params FROM transcript_jobs WHERE job_id = ?"
        [stored] = records.execute(query, (job_id,)).fetchone()
    return json.loads(stored)


def test_a_file_that_fails_is_said_and_keeps_no_other_from_being_done(
    stack: RunningStack, folder: Path, tmp_path: Path
):
    done = typed(
        folder / "letter.mp3", folder / "first.wav", "-o", tmp_path, "--format", "txt",
        TRANSCRIBE_URL=stack.url,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == f"{folder / 'first.wav'}: {tmp_path / 'first'}\n"
    assert done.stderr.startswith(f"{folder / 'letter.mp3'}: ")
    assert len(done.stderr.splitlines()) == 1, "quiet where there is no terminal"
    told = typed(folder / "letter.mp3", "-o", tmp_path, "--json", TRANSCRIBE_URL=stack.url)
    assert told.returncode == 1
    assert [one["event"] for one in lines(told.stdout)] == ["sending", "failed"]
    assert lines(told.stdout)[-1]["reason"]


def test_people_see_a_bar_for_each_file(stack: RunningStack, folder: Path, tmp_path: Path):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [TRANSCRIBE, folder / "first.wav", folder / "second.wav", "-o", tmp_path],
        env=clean_environment(TRANSCRIBE_URL=stack.url, TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = read_all(ours)
        assert process.stdout is not None
        printed = process.stdout.read().decode()
    assert process.returncode == 0
    for name in ("first.wav", "second.wav"):
        assert re.search(rf"{name} .*[━╸].*%", shown)
    assert "transcribing" in shown
    assert {line.partition(": ")[0] for line in printed.splitlines()} == {
        str(folder / "first.wav"), str(folder / "second.wav"),
    }  # fmt: skip


def read_all(terminal: int) -> str:
    """All that is shown, until nobody has the other side open."""
    shown = b""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # so Linux says it
            block = b""
        if not block:
            os.close(terminal)
            return shown.decode(errors="replace")
        shown += block


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--watch"),
        (("FILE", "--watch", "."), "--watch"),
        (("FILE", "--format", "pdf"), "srt, vtt"),
        (("FILE", "--speakers", "few"), "2-4"),
        (("FILE", "--priority", "now"), "high"),
        (("FILE", "--context", "a", "--terms", os.devnull), "combined"),
        (("missing.wav",), "missing.wav"),
    ],
)
def test_wrong_usage_ends_with_2(folder: Path, words: tuple[str, ...], told: str):
    done = typed("files", *(folder / "first.wav" if word == "FILE" else word for word in words))
    assert done.returncode == 2
    assert told in done.stderr


@pytest.mark.parametrize(
    ("word", "told"), [("job", "did you mean 'jobs'?"), ("frobnicate", "no such file\n")]
)
def test_a_word_that_is_no_command_and_no_file_is_said_to_be_neither(word: str, told: str):
    done = typed(word, "list")
    assert done.returncode == 2
    assert f"{word!r} is not a command" in done.stderr
    assert told in done.stderr


def test_a_file_may_be_called_as_no_command_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "interview").write_text("Dear Sir or Madam")
    monkeypatch.chdir(tmp_path)
    for named in (tmp_path / "interview", "interview"):
        assert "srt, vtt" in typed(named, "--format", "pdf").stderr


def test_a_context_is_found_by_its_name(stack: RunningStack, folder: Path, tmp_path: Path):
    with Client(stack.url) as client:
        made = client.create_context("Remedies", [{"phrase": "metformin", "boost": 20.0}])
    words = (folder / "first.wav", "-o", tmp_path, "--format", "json", "--url", stack.url)
    assert typed(*words, "--context", "Remedies").returncode == 0
    result = json.loads((tmp_path / "transcription.json").read_text())
    assert asked_for(stack, result["job_id"])["context_id"] == made["context_id"]
    done = typed(*words, "--context", "Remedy")
    assert done.returncode == 2
    assert "no context 'Remedy'" in done.stderr


def test_terms_of_a_file_are_a_context_for_as_long_as_the_command_lasts(
    stack: RunningStack, folder: Path, tmp_path: Path
):
    terms = tmp_path / "terms.txt"
    terms.write_text("metformin\nblood pressure\t35\n\n")
    words = (folder / "first.wav", "-o", tmp_path, "--format", "json", "--url", stack.url)
    done = typed(*words, "--terms", terms)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "transcription.json").read_text())
    context_id = asked_for(stack, result["job_id"])["context_id"]
    assert context_id
    with Client(stack.url) as client:
        assert context_id not in {one["context_id"] for one in client.contexts()["contexts"]}
    terms.write_text("metformin\tmuch\n")
    done = typed(*words, "--terms", terms)
    assert done.returncode == 2
    assert "line 1: 'much' is not a number" in done.stderr


class Watching:
    """`transcribe --watch`, and what it has printed."""

    def __init__(self, stack: RunningStack, folder: Path, out: Path) -> None:
        words = ("--watch", folder, "-o", out, "--format", "txt", "--url", stack.url)
        self._printed = out.parent / "printed"
        with self._printed.open("a") as file:
            self.process = subprocess.Popen(
                [TRANSCRIBE, *words], env=clean_environment(), stdout=file, stderr=file
            )

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self._printed.read_text())

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def count(self, text: str) -> int:
        return self._printed.read_text().count(text)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "in").mkdir()
    yield tmp_path / "in"
    if (tmp_path / "printed").exists():
        assert "Traceback" not in (tmp_path / "printed").read_text()


@pytest.mark.lengthy
def test_a_folder_is_watched_and_what_was_done_stays_done(
    stack: RunningStack, folder: Path, watched: Path
):
    out = watched.parent / "out"
    (watched / "there.wav").write_bytes((folder / "first.wav").read_bytes())
    (watched / "letter.mp3").write_text("Dear Sir or Madam")
    watching = Watching(stack, watched, out)
    try:
        watching.wait_for("there.wav: ")
        watching.wait_for("letter.mp3: ")
        (watched / "came.wav").write_bytes((folder / "second.wav").read_bytes())
        watching.wait_for("came.wav: ")
    finally:
        assert watching.end() == 0
    assert (out / "there" / "transcription.txt").read_text()
    assert (out / "came" / "transcription.txt").read_text()

    again = Watching(stack, watched, out)
    try:
        (watched / "later.wav").write_bytes((folder / "second.wav").read_bytes())
        again.wait_for("later.wav: ")
    finally:
        assert again.end() == 0
    for name in ("there.wav", "came.wav", "later.wav", "letter.mp3"):
        assert again.count(f"{name}: ") == 1
    assert {path.name for path in watched.iterdir()} == {
        "there.wav", "came.wav", "later.wav", "letter.mp3",
    }  # fmt: skip


def test_jobs_are_listed_and_shown(stack: RunningStack, job: str):
    """The running stack is found by its data directory."""
    here = {"TRANSCRIBE_DATA_DIR": str(stack.data_dir)}
    listed = typed("jobs", "list", "--status", "completed", "--json", "--limit", "200", **here)
    assert listed.returncode == 0
    assert job in {one["job_id"] for one in lines(listed.stdout)}
    assert {one["status"] for one in lines(listed.stdout)} == {"completed"}
    table = typed("jobs", "list", "--limit", "1", "--data-dir", stack.data_dir)
    assert len(table.stdout.splitlines()) == 1
    shown = typed("jobs", "show", job, "--url", stack.url)
    assert re.search(r"^status +completed$", shown.stdout, re.MULTILINE)
    [told] = lines(typed("jobs", "show", job, "--json", **here).stdout)
    assert told["job_id"] == job


def test_jobs_are_cancelled_retried_and_deleted(stack: RunningStack, folder: Path):
    with Client(stack.url) as client:
        # Nobody serves its queue, so it waits.
        job_id = client.submit(folder / "first.wav", engine="whisperx", diarizer="none")["job_id"]
        here = {"TRANSCRIBE_URL": stack.url}
        cancelled = typed("jobs", "cancel", job_id, **here)
        assert (cancelled.returncode, cancelled.stdout) == (0, f"{job_id}: cancelled\n")
        retried = typed("jobs", "retry", job_id, **here)
        assert retried.returncode == 0, retried.stderr
        assert client.status(job_id)["status"] in ("queued", "processing")
        deleted = typed("jobs", "delete", job_id, NO_JOB, **here)
        assert deleted.returncode == 1
        assert deleted.stdout == f"{job_id}: deleted\n"
        assert deleted.stderr.startswith(f"{NO_JOB}: ")
        assert job_id not in {one["job_id"] for one in client.jobs()["jobs"]}


@pytest.mark.sphinx
def test_logs_of_a_job_are_gathered_from_all_processes(stack: RunningStack, job: str):
    done = typed("jobs", "logs", job, "--data-dir", stack.data_dir)
    assert done.returncode == 0
    told = lines(done.stdout)
    assert {one["job_id"] for one in told} == {job}
    assert {"prepare", "asr.sphinx"} <= {one["process"] for one in told}
    moments = [one["timestamp"] for one in told]
    assert moments == sorted(moments)
    assert typed("jobs", "logs", "of-nobody", "--data-dir", stack.data_dir).returncode == 1
    elsewhere = typed("jobs", "logs", job, "--url", stack.url)
    assert elsewhere.returncode == 1
    assert "cannot be read from here" in elsewhere.stderr


def test_an_engine_that_cannot_work_here_ends_the_command_at_once(folder: Path, tmp_path: Path):
    """Whether the service would be its own, or runs here already."""
    words = (folder / "first.wav", "-o", tmp_path / "out", "--engine", "whisperx")
    done = typed(*words, TRANSCRIBE_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == service.CANNOT_SERVE
    assert "whisperx cannot work on this machine" in done.stderr
    assert "pip install -e '.[whisperx]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_diarizer_that_cannot_work_with_the_running_service_ends_the_command(
    stack: RunningStack, folder: Path, tmp_path: Path
):
    words = (folder / "first.wav", "-o", tmp_path, "--diarizer", "pyannote")
    done = typed(*words, TRANSCRIBE_DATA_DIR=str(stack.data_dir))
    assert done.returncode == service.CANNOT_SERVE
    assert "pyannote cannot work on this machine" in done.stderr


def test_a_service_that_runs_here_is_used(stack: RunningStack, folder: Path, tmp_path: Path):
    here = {"TRANSCRIBE_DATA_DIR": str(stack.data_dir)}
    done = typed(folder / "first.wav", "-o", tmp_path, "--format", "json", **here)
    assert done.returncode == 0, done.stderr
    job_id = json.loads((tmp_path / "transcription.json").read_text())["job_id"]
    with Client(stack.url) as client:
        assert client.status(job_id)["status"] == "completed"


@pytest.mark.lengthy
@pytest.mark.parametrize("words", [("--private",), ("--workers", "1")])
def test_a_private_service_ends_with_its_command(
    stack: RunningStack, folder: Path, tmp_path: Path, words: tuple[str, ...]
):
    here = {"TRANSCRIBE_DATA_DIR": str(stack.data_dir)}
    done = typed(folder / "first.wav", "-o", tmp_path, "--format", "json", *words, **here)
    assert done.returncode == 0, done.stderr
    job_id = json.loads((tmp_path / "transcription.json").read_text())["job_id"]
    with Client(stack.url) as client, pytest.raises(ServiceError) as refusal:
        client.status(job_id)
    assert refusal.value.status == 404


def test_a_job_is_left_alone_and_followed_later(stack: RunningStack, folder: Path, tmp_path: Path):
    terms = tmp_path / "terms.txt"
    terms.write_text("metformin\n")
    sent = typed(folder / "first.wav", "--detach", "--terms", terms, "--url", stack.url)
    assert sent.returncode == 0, sent.stderr
    assert sent.stderr.endswith(
        "the engine sphinx does not support terms of a context; they have no effect\n"
    )
    name, _, job_id = sent.stdout.strip().rpartition(": ")
    assert name == str(folder / "first.wav")
    context_id = asked_for(stack, job_id)["context_id"]
    with Client(stack.url) as client:
        assert context_id in {one["context_id"] for one in client.contexts()["contexts"]}
    followed = typed("jobs", "follow", job_id, "-o", tmp_path / "out", "--url", stack.url)
    assert followed.returncode == 0, followed.stderr
    assert (tmp_path / "out" / "transcription.srt").read_text()
    told = lines(typed("jobs", "follow", job_id, "--json", "--url", stack.url).stdout)
    assert told[-1]["event"] == "completed"
    assert told[-1]["job_id"] == job_id


@pytest.mark.lengthy
def test_a_private_service_is_not_left_alone(folder: Path, tmp_path: Path):
    done = typed(folder / "first.wav", "--detach", TRANSCRIBE_DATA_DIR=str(tmp_path))
    assert done.returncode == service.WRONG_USAGE
    assert "transcribe up" in done.stderr


def test_a_client_that_is_interrupted_says_how_its_job_goes_on(
    stack: RunningStack, folder: Path, tmp_path: Path
):
    # Nobody serves its queue, so it waits.
    words = (folder / "first.wav", "-o", tmp_path, "--engine", "whisperx", "--url", stack.url)
    with subprocess.Popen(
        [TRANSCRIBE, *words], env=clean_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "the job waits for one" in process.stderr.readline(), "said at once"
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == service.INTERRUPTED
    [job_id] = re.findall(r"^[0-9a-f-]{36}$", printed, re.MULTILINE)
    for command in ("follow", "show", "cancel"):
        assert f"transcribe jobs {command} JOB_ID" in printed
    with Client(stack.url) as client:
        assert client.cancel(job_id)["status"] == "cancelled"


def test_without_a_service_jobs_say_how_to_start_one(tmp_path: Path):
    done = typed("jobs", "list", TRANSCRIBE_DATA_DIR=str(tmp_path))
    assert done.returncode == 3
    assert "transcribe up" in done.stderr


def test_a_killed_stack_is_said_not_to_answer(tmp_path: Path):
    (tmp_path / "stack.json").write_text('{"url": "http://127.0.0.1:9"}')
    done = typed("jobs", "list", "--data-dir", tmp_path)
    assert done.returncode == 3
    assert "does not answer" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(shell: str):
    done = typed("completion", shell)
    assert done.returncode == 0
    assert "_TRANSCRIBE_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("transcribe jo", "plain,jobs"),
        ("transcribe meet", "file,meet"),
        ("transcribe jobs re", "plain,retry"),
        ("transcribe meeting.mp4 --prio", "plain,--priority"),
        ("transcribe meeting.mp4 --priority lo", "plain,low"),
    ],
)
def test_words_are_completed(words: str, completed: str):
    done = typed(
        _TRANSCRIBE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    assert completed in done.stdout.splitlines()


def test_benchmarks_are_those_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from transcribe_api.cli.command import main

    monkeypatch.setattr(bench, "ROOT", tmp_path)
    done = CliRunner().invoke(main, ["bench", "merge"])
    assert done.exit_code == 1
    assert "in the repository" in done.output
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    (tmp_path / "bench" / "__main__.py").write_text(
        "import sys; open('asked', 'w').write(' '.join(sys.argv[1:])); sys.exit(7)"
    )
    assert CliRunner().invoke(main, ["bench", "merge", "--help"]).exit_code == 7
    assert (tmp_path / "asked").read_text() == "merge --help"


def test_exit_codes_are_those_that_help_and_readme_tell_of():
    told = service.EXIT_CODES
    known = {service.DONE, service.NOT_DONE, service.WRONG_USAGE}
    known |= {service.NO_SERVICE, service.CANNOT_SERVE, service.INTERRUPTED}
    assert {int(code) for code in re.findall(r"^ +(\d+)", told, re.MULTILINE)} == known
    table = re.findall(r"^\| (\d+) \|", README.read_text(), re.MULTILINE)
    assert {int(code) for code in table} == known
    for words in ((), ("files",)):
        shown = typed(*words, "--help").stdout
        assert all(re.search(rf"^ +{code} +\w", shown, re.MULTILINE) for code in known)
