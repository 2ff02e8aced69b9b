"""Files that the command line sends: none is lost sight of, and what is printed is whole."""

from __future__ import annotations

import io
from pathlib import Path
from threading import Event, Thread
from typing import Any

import click
import pytest
from rich.console import Console

from transcribe_api.bars import Bars
from transcribe_api.transcribing import AT_ONCE, Crew, Outcome


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
    def begin(self, file: Path) -> None: ...
    def accept(self, file: Path, job: dict[str, Any]) -> None: ...
    def state(self, file: Path, told: dict[str, Any]) -> None: ...
    def end(self, outcome: Outcome) -> None: ...


@pytest.fixture
def client() -> SlowClient:
    return SlowClient()


@pytest.fixture
def crew(client: SlowClient) -> Crew:
    crew = Crew(client, {}, Silent(), is_detached=True)  # type: ignore[arg-type]
    for number in range(AT_ONCE + 3):
        crew.take(Path(f"{number}.wav"), Path("out"))
    while len(client.sent) < AT_ONCE:
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
    assert len(client.sent) == AT_ONCE, "nothing is sent any more"


def test_what_was_not_answered_in_time_is_named(client, crew):
    assert set(crew.stop_sending(0.0)) == set(client.sent)
    client.may_answer.set()


def test_no_bar_stands_in_a_line_that_is_printed(monkeypatch: pytest.MonkeyPatch):
    screen = io.StringIO()
    monkeypatch.setattr(click, "echo", lambda line, err: screen.write(f"{line}\n"))
    console = Console(file=screen, force_terminal=True, width=110, _environ={})
    first, second = Path("first.wav"), Path("second.wav")
    with Bars(console) as bars:
        for file in (first, second):
            bars.begin(file)
        bars.end(Outcome(first, Path("out/first"), None, job_id="1"))
    before, after = screen.getvalue().split("first.wav: out/first\n")
    assert before.endswith("\x1b[2K"), "the bars are wiped away first"
    assert "second.wav" in after, "and drawn anew below"
