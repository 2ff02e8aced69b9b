"""Files that the command line sends: none is lost sight of, and what is printed is whole."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from core.settings import settings
from transcribe_api.cli.command import _describe_flower_login
from transcribe_api.cli.files import _choose_targets, files
from transcribe_api.cli.progress_bars import ProgressBars
from transcribe_api.cli.service import NO_SERVICE, WRONG_USAGE
from transcribe_api.client import ServiceError
from transcribe_api.python.batch_client import (
    CONCURRENT_FILES,
    BatchClient,
    FileOutcome,
    fetch_results,
)


class SlowClient:
    """Takes each file, and answers when it may."""

    def __init__(self) -> None:
        self.sent: list[Path] = []
        self.may_answer = Event()

    def submit(self, file: Path) -> dict[str, Any]:
        self.sent.append(file)
        self.may_answer.wait(30)
        return {"job_id": file.stem}


class Silent:
    def show_start(self, file: Path) -> None: ...
    def show_accepted(self, file: Path, job: dict[str, Any]) -> None: ...
    def show_status(self, file: Path, status: dict[str, Any]) -> None: ...
    def show_outcome(self, outcome: FileOutcome) -> None: ...


@pytest.fixture
def client() -> SlowClient:
    return SlowClient()


@pytest.fixture
def crew(client: SlowClient) -> BatchClient:
    crew = BatchClient(client, {}, Silent(), is_detached=True)  # type: ignore[arg-type]
    for number in range(CONCURRENT_FILES + 3):
        crew.enqueue(Path(f"{number}.wav"), Path("out"))
    while len(client.sent) < CONCURRENT_FILES:
        Event().wait(0.01)
    return crew


def test_who_is_interrupted_learns_of_every_job_that_was_on_its_way(client, crew):
    stopped: list[list[Path]] = []
    stopper = Thread(target=lambda: stopped.append(list(crew.stop_sending(30))))
    stopper.start()
    client.may_answer.set()
    stopper.join()
    assert stopped == [[]]
    assert sorted(crew.open_jobs) == sorted(file.stem for file in client.sent)
    assert len(client.sent) == CONCURRENT_FILES, "nothing is sent any more"


def test_what_was_not_answered_in_time_is_named(client, crew):
    assert set(crew.stop_sending(0.0)) == set(client.sent)
    client.may_answer.set()


def test_no_bar_stands_in_a_line_that_is_printed(monkeypatch: pytest.MonkeyPatch):
    screen = io.StringIO()
    monkeypatch.setattr(click, "echo", lambda line, err: screen.write(f"{line}\n"))
    console = Console(file=screen, force_terminal=True, width=110, _environ={})
    first, second = Path("first.wav"), Path("second.wav")
    with ProgressBars(console) as bars:
        for file in (first, second):
            bars.show_start(file)
        bars.show_outcome(FileOutcome(first, Path("out/first"), None, job_id="1"))
    before, after = screen.getvalue().split("first.wav: out/first\n")
    assert before.endswith("\x1b[2K"), "the bars are wiped away first"
    assert "second.wav" in after, "and drawn anew below"


class RefusingClient:
    """Refuses an option, or the file itself."""

    def __init__(self, field: str, code: str) -> None:
        self._refusal = ServiceError("no", status=422, code=code, field=field)

    def submit(self, file: Path, **_: str) -> dict[str, Any]:
        raise self._refusal


def test_an_option_that_is_refused_ends_the_command_and_a_file_only_itself():
    def refuse(field: str, code: str = "invalid_input") -> FileOutcome | None:
        client: Any = RefusingClient(field, code)
        options = {"engine": "nope", "model": None, "track": "2"}
        crew = BatchClient(client, options, Silent())
        crew.enqueue(Path("a.wav"), Path("out"))
        return crew.next_outcome()

    with pytest.raises(ServiceError, match="no"):
        refuse("engine")
    # Another file may have the track.
    for refusal in (("file",), ("model",), ("track", "no_such_track")):
        outcome = refuse(*refusal)
        assert outcome is not None
        assert outcome.reason == "no"


def run_files(*arguments: str | Path) -> Result:
    return CliRunner().invoke(files, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("{folder}",), "is a folder: list its files, or use --watch {folder}"),
        (("{file}", "--detach", "-o", "out"), "-o cannot be combined with --detach"),
        (("{file}", "--detach", "--format", "srt"), "--format cannot be combined with --detach"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(tmp_path: Path, arguments: Sequence[str], told: str):
    file = tmp_path / "a.wav"
    file.touch()
    names = {"folder": tmp_path, "file": file}
    done = run_files(*(one.format(**names) for one in arguments))
    assert done.exit_code == WRONG_USAGE
    words = " ".join(done.output.split())
    assert told.format(**names) in words.replace("│ ", "")


def test_a_data_directory_that_is_named_and_cannot_be_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a.wav").touch()
    monkeypatch.setenv("TRANSCRIBE_DATA_DIR", str(tmp_path / "a.wav" / "data"))
    settings.cache_clear()
    done = run_files(tmp_path / "a.wav")
    assert done.exit_code == NO_SERVICE
    assert "cannot be used" in done.output


def test_results_of_two_recordings_are_not_mixed(tmp_path: Path):
    def hold(name: str) -> None:
        text = json.dumps({"file_path": name})
        (tmp_path / "final_transcription.json").write_text(text)

    file = Path("recordings/b.wav")
    assert _choose_targets([file], tmp_path) == {file: tmp_path}
    hold("b.wav")
    assert _choose_targets([file], tmp_path) == {file: tmp_path}, "the same once more"
    hold("a.wav")
    assert _choose_targets([file], tmp_path) == {file: tmp_path / "b"}
    (tmp_path / "final_transcription.json").write_text("of somebody else")
    assert _choose_targets([file], tmp_path) == {file: tmp_path}


class HoldingClient:
    """Has one job with these files."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def artefacts(self, _job_id: str) -> Sequence[str]:
        return self._names

    def download(self, _job_id: str, name: str, target: Path) -> None:
        target.write_text(name)


def test_chunks_of_a_former_job_do_not_stay(tmp_path: Path):
    def write(*names: str) -> None:
        client: Any = HoldingClient(names)
        fetch_results(client, "1", tmp_path)

    write("transcription.srt", "chunks/chunk_0000.wav", "chunks/chunk_0001.wav", "../evil.srt")
    (tmp_path / "chunks" / "mine.wav").touch()
    write("transcription.srt", "chunks/chunk_0000.wav")
    left = sorted(file.name for file in (tmp_path / "chunks").iterdir())
    assert left == ["chunk_0000.wav", "mine.wav"]


def test_a_password_does_not_go_into_a_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "somebody:secret")
    settings.cache_clear()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert _describe_flower_login().endswith("stack.json")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert _describe_flower_login() == "somebody:secret"
