"""What the READMEs and docs/troubleshooting.md have people type is typed; docs/python.md is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engines import catalog
from tests.integration.conftest import (
    SAMPLE,
    TRANSCRIBE,
    RunningStack,
    clean_environment,
    wait_until,
    write_sample,
)
from transcribe_api.client import Client

pytestmark = pytest.mark.processes

ROOT = SAMPLE.parents[1]

WORKER = "celery -A tasks worker -Q asr.whisper -c 1 -n more@%h"
#: What does not end by itself, or is not for every machine: by which tests it is run instead.
ELSEWHERE = {
    "make demo": "test_the_demo_shows_the_transcript",
    "make test": "test_what_is_made_is_made_by_the_makefile",
    "make up": "test_what_is_made_is_made_by_the_makefile",
    "make env": "test_the_passwords_are_made_up_once",
    "docker compose up -d --build": "test_a_compose_file_has_the_form_that_compose_asks_for",
    "transcribe --watch inbox/ -o out/": "test_a_folder_is_watched_and_what_was_done_stays_done",
    "transcribe models pull base --from /media/usb": "test_a_folder_has_it",
    WORKER: "test_a_worker_started_by_hand_joins_in",
    "transcribe up --port 8001": "test_a_taken_port_is_named",
    "transcribe up --port 8001 --data-dir /tmp/other": "test_a_data_directory_has_one_stack",
}

#: How files, folders and workers are called in README.pt.md, and here.
PORTUGUESE = {
    "reuniao": "meeting",
    "saida/": "out/",
    "entrada/": "inbox/",
    "mp3": "mp4",
    "mais@%h": "more@%h",
}


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    pages = ROOT / "README.md", ROOT / "README.pt.md", ROOT / "docs" / "troubleshooting.md"
    text = "".join(block for page in pages for block in blocks(page, "sh"))
    for theirs, ours in PORTUGUESE.items():
        text = text.replace(theirs, ours)
    return list(dict.fromkeys(re.sub(r"\s+#.*", "", line) for line in text.splitlines()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything is typed: the files that are named lie there."""
    folder = tmp_path_factory.mktemp("typed")
    for name in ("meeting.mp4", "urgent.mp4"):
        write_sample(folder / name, seconds=8)
    (folder / "terms.txt").write_text("metformin\n")
    shutil.copytree(TRANSCRIBE.parents[1] / "bin", folder / ".venv" / "bin", symlinks=True)
    return folder


@pytest.fixture(scope="module")
def job(stack: RunningStack, folder: Path) -> str:
    with Client(stack.url) as client:
        job_id = client.submit(folder / "meeting.mp4")["job_id"]
        wait_until(lambda: client.status(job_id)["status"] == "completed")
    return str(job_id)


@pytest.mark.parametrize("command", [one for one in commands() if one not in ELSEWHERE])
def test_every_command_of_the_readme_works(
    stack: RunningStack, folder: Path, job: str, command: str
):
    if "cancel" in command or "retry" in command or "delete" in command:
        job = job_to_act_on(stack, folder, command)
    if command.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    text = command.replace("http://localhost:8000", stack.url).replace("JOB_ID", job)
    # Celery finds its application in the folder of the code.
    where = ROOT if command.startswith("celery") else folder
    environment = stack.environment
    if "keys create" in command:  # of the shared stack, all other tests would need it
        environment = clean_environment(TRANSCRIBE_DATA_DIR=str(folder / "keys"))
    # As in a shell in which the virtual environment is active.
    path = os.pathsep.join([str(TRANSCRIBE.parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", text], env=environment | {"PATH": path},
        cwd=where, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"detail"' not in done.stdout, "no error of the service"


def job_to_act_on(stack: RunningStack, folder: Path, command: str) -> str:
    """One that nobody works on, because nobody serves its queue; over, if it is to be retried."""
    with Client(stack.url) as client:
        if "stage=" in command:  # of one that was done to its end
            job_id = client.submit(folder / "meeting.mp4")["job_id"]
            wait_until(lambda: client.status(job_id)["status"] == "completed")
            return str(job_id)
        job_id = client.submit(folder / "meeting.mp4", engine="whisperx", diarizer="none")["job_id"]
        if "retry" in command:
            client.cancel(job_id)
    return str(job_id)


def test_what_is_run_elsewhere_is_run_there():
    assert ELSEWHERE.keys() <= set(commands())
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in ELSEWHERE.values() if f"def {name}(" not in code] == []


@pytest.mark.lengthy
def test_the_demo_shows_the_transcript(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, ROOT / "samples" / "demo.py", tmp_path],
        env=clean_environment(), cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "SPEAKER_01" in done.stdout
    assert "word error rate" in done.stdout.lower()


def test_the_passwords_are_made_up_once(tmp_path: Path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    first, second = (_made_up(tmp_path) for _ in range(2))
    assert first == second
    assert {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "MINIO_SECRET_KEY"} <= first.keys()
    assert all(first.values())


def _made_up(folder: Path) -> dict[str, str]:
    subprocess.run(["make", "-s", "env"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    lines = (folder / ".env").read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_what_is_made_is_made_by_the_makefile():
    for target in ("test", "up"):
        shown = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert {"test": "-m pytest", "up": "transcribe up"}[target] in shown


PYTHON = [
    (f"{path.name} {at}", text)
    for path in (ROOT / "README.md", ROOT / "docs" / "python.md")
    for at, text in enumerate(blocks(path, "python"))
]


@pytest.mark.lengthy
@pytest.mark.parametrize("text", [text for _, text in PYTHON], ids=[name for name, _ in PYTHON])
def test_every_example_in_python_works(
    stack: RunningStack, folder: Path, text: str, monkeypatch: pytest.MonkeyPatch
):
    if "whisper_processor" in text and not catalog.WHISPERX.is_installed():
        pytest.skip("WhisperX is not installed; test_whisperx.py tests its processor")
    monkeypatch.chdir(folder)
    exec(text.replace("http://localhost:8000", stack.url), {"__name__": "example"})


def test_every_name_of_the_architecture_is_where_it_is_said_to_be():
    from importlib import import_module

    rows = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| `([\w.]+)` \|", (ROOT / "docs" / "python.md").read_text(), re.M
    )
    found = {
        name: import_module(home) for names, home in rows for name in re.findall(r"\w+", names)
    }
    parts = {"ResourceManager", "AudioChunker", "WhisperProcessor", "SpeakerDiarizer"}
    parts |= {"TranscriptionMerger", "QueueManager", "DiarizationOrchestrator"}
    assert parts <= found.keys()
    assert [name for name, home in found.items() if not hasattr(home, name)] == []
