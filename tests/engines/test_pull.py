"""`transcribe models pull` with the real library, from a hub on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines import hub_server
from tests.engines.hub_server import COMMIT, TOKEN, Hub
from tests.integration.conftest import clean_environment

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from transcribe_api.cli.command import main; main()"
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b'{"a": 1}',
    "vocabulary.txt": b"a\nb\n",
    "model.bin": bytes(range(256)) * 40_000,
    ".gitattributes": b"*.bin lfs",
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server.running(Hub(files=dict(FILES), large={"model.bin"})) as running:
        yield running


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def run(hub: Hub, ours: Path, tmp_path: Path) -> Run:
    """The command, in a process of its own: the library reads its settings once."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = clean_environment(
            HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "home"), MODEL_DIR=str(ours),
            HF_HUB_OFFLINE="0",
        ) | settings  # fmt: skip
        return subprocess.run(
            [sys.executable, "-c", MAIN, "models", *words],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


def whole(folder: Path) -> dict[str, bytes]:
    """What lies there, but for what it says of itself."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    del found["transcribe-model.json"]
    return found


WANTED = {name: data for name, data in FILES.items() if not name.startswith(".")}


def test_a_model_is_pulled_at_its_commit_and_can_be_verified(run: Run, ours: Path):
    done = run("pull", "tiny")
    assert done.returncode == 0, done.stderr
    assert f"Systran/faster-whisper-tiny at {COMMIT[:12]} in {ours / 'tiny'}" in done.stdout
    assert whole(ours / "tiny") == WANTED
    told = json.loads((ours / "tiny" / "transcribe-model.json").read_text())
    assert (told["repository"], told["commit"]) == ("Systran/faster-whisper-tiny", COMMIT)
    assert told["files"].keys() == WANTED.keys()
    assert f"tiny at {COMMIT[:12]}" in run("list").stdout
    checked = run("verify")
    assert (checked.returncode, checked.stdout) == (0, "1 complete, 0 damaged\n")
    assert [path.name for path in (ours / ".pulling").iterdir()] == ["tiny.lock"]


def test_a_changed_byte_is_found(run: Run, ours: Path):
    run("pull", "tiny")
    with (ours / "tiny" / "model.bin").open("r+b") as file:
        file.seek(5000)
        file.write(b"!")
    done = run("verify")
    assert done.returncode == 1
    assert f"tiny: {ours / 'tiny'}/model.bin has changed since it was pulled" in done.stderr
    assert "config.json" not in done.stderr


def test_what_is_there_is_left_alone_unless_it_is_wanted_again(run: Run, hub: Hub, ours: Path):
    run("pull", "tiny")
    hub.files["config.json"] = b'{"new": true}'
    refused = run("pull", "tiny")
    assert refused.returncode == 1
    assert "--again" in refused.stderr
    assert whole(ours / "tiny") == WANTED
    assert run("pull", "tiny", "--again").returncode == 0
    assert whole(ours / "tiny") == {**WANTED, "config.json": b'{"new": true}'}


def test_a_pull_that_broke_off_is_gone_on_with(run: Run, hub: Hub, ours: Path):
    hub.files["model.bin"] = FILES["model.bin"] * 3
    hub.breaks_off = {"model.bin": 25_000_000}  # the library writes 10 MiB at a time
    first = run("pull", "tiny")
    assert (first.returncode, "closed the connection" in first.stderr) == (1, True)
    assert not (ours / "tiny").exists()
    assert run("pull", "tiny").returncode == 0
    assert whole(ours / "tiny") == {**WANTED, "model.bin": hub.files["model.bin"]}
    assert [begin for _, _, begin in hub.requests if begin] == [f"bytes={20 << 20}-"]


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_what_arrives_damaged_is_no_model(run: Run, hub: Hub, ours: Path, name: str):
    hub.damaged = {name: bytes(len(FILES[name]))}
    done = run("pull", "tiny")
    assert done.returncode == 1
    assert f"{name} of Systran/faster-whisper-tiny was damaged in transfer" in done.stderr
    assert not (ours / "tiny").exists()
    hub.damaged = {}
    assert run("pull", "tiny").returncode == 0
    assert whole(ours / "tiny") == WANTED


def test_a_repository_is_pulled_at_a_revision_into_a_folder_of_its_name(
    run: Run, hub: Hub, ours: Path
):
    hub.repository = "pyannote/speaker-diarization-community-1"
    hub.files = {"config.yaml": b"a: 1", "segmentation/pytorch_model.bin": b"weights"}
    hub.large = {"segmentation/pytorch_model.bin"}
    done = run("pull", hub.repository, "--revision", "v1")
    assert done.returncode == 0, done.stderr
    assert whole(ours / hub.repository) == hub.files
    listed = next(line for line in run("list").stdout.splitlines() if line.startswith("pyannote"))
    assert f"{hub.repository} at {COMMIT[:12]}" in listed


def test_a_model_for_times_gets_the_name_that_it_is_found_by(run: Run, hub: Hub, ours: Path):
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"weights"}
    assert run("pull", hub.repository, "--as", "align-pt").returncode == 0
    assert whole(ours / "align-pt") == hub.files
    assert "align-pt" in run("list").stdout


def test_a_token_opens_what_asks_for_one(run: Run, hub: Hub, ours: Path):
    hub.is_gated = True
    closed = run("pull", "tiny")
    assert (closed.returncode, "set HF_TOKEN" in closed.stderr) == (1, True)
    wrong = run("pull", "tiny", HF_TOKEN="hf_wrong")
    assert "HF_TOKEN gives no access to" in wrong.stderr
    opened = run("pull", "tiny", HF_TOKEN=TOKEN)
    assert opened.returncode == 0, opened.stderr
    assert TOKEN not in "".join(path.read_text() for path in ours.rglob("*.json"))
    assert "hf_wrong" not in wrong.stdout + wrong.stderr


@pytest.mark.parametrize(
    ("words", "settings", "told"),
    [
        (["huge"], {}, "there is no model 'huge'; allowed: tiny"),
        (["nobody/nothing"], {}, "no repository nobody/nothing"),
        (["tiny", "--revision", "v9"], {}, "no revision 'v9'"),
        (["tiny"], {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        (["tiny"], {"HF_ENDPOINT": "http://127.0.0.1:9"}, "does not answer"),
        (["tiny", "--as", "../elsewhere"], {}, "not a valid name of a folder"),
    ],
)
def test_what_cannot_be_pulled_is_said_in_a_sentence(run: Run, ours: Path, words, settings, told):
    done = run("pull", *words, **settings)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(ours.glob("[!.]*"))


def test_what_is_no_model_is_not_pulled(run: Run, hub: Hub):
    hub.files = {"README.md": b"x", "pytorch_model.bin": b"x"}
    done = run("pull", "tiny")
    assert "contains neither" in done.stderr
    assert not [path for _, path, _ in hub.requests if "resolve" in path]


def test_a_hub_that_names_files_elsewhere_is_not_believed(run: Run, hub: Hub, tmp_path: Path):
    hub.files["../../outside.txt"] = b"x"
    done = run("pull", "tiny")
    assert (done.returncode, "outside their folder" in done.stderr) == (1, True)
    assert not list(tmp_path.rglob("outside.txt"))
