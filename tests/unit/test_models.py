"""Models that were pulled: where they are from, and whether they are still what came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.settings import settings
from engines.models import model_manifest
from transcribe_api.cli.command import main

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["models", *words])


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    return tmp_path / "models"


def pulled(folder: Path, repository: str, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    model_manifest.write(folder, model_manifest.describe(folder, repository, COMMIT))
    return folder


@pytest.fixture
def base(ours: Path) -> Path:
    files = {"model_bin": "weights", "config_json": "{}", "tokenizer_json": "{}"}
    return pulled(ours / "base", "Systran/faster-whisper-base", **files)


def test_the_list_says_where_a_model_is_from(base: Path):
    line = next(line for line in run("list").output.splitlines() if " base " in line)
    assert line.endswith(f"in {base}, Systran/faster-whisper-base at {COMMIT[:12]}")


def test_a_pulled_pipeline_is_found_by_its_name(ours: Path):
    name = settings().pyannote_model
    folder = pulled(ours / name, name, config_yaml="a: 1", embedding__model_bin="x")
    line = next(line for line in run("list").output.splitlines() if line.startswith("pyannote"))
    assert f"{folder}, {name} at" in line


def test_what_no_setting_names_is_listed_too(base: Path, ours: Path):
    pulled(ours / "someone" / "model", "someone/model", model_bin="x")
    pulled(ours / ".pulling" / "half", "someone/half", model_bin="x")
    output = run("list").output
    assert "- " in output
    assert "someone/model at" in output
    assert "half" not in output


def test_whole_models_are_verified(base: Path):
    assert run("verify").output == "1 complete, 0 damaged\n"


@pytest.mark.parametrize("damage", ["changed", "longer", "removed"])
def test_every_file_that_differs_is_named(base: Path, damage: str):
    (base / "config.json").write_text("[]")
    if damage == "removed":
        (base / "model.bin").unlink()
    else:
        (base / "model.bin").write_text("weighty" if damage == "changed" else "weights!")
    done = run("verify")
    assert done.exit_code == 1
    assert f"base: {base}/config.json has changed since it was pulled" in done.stderr
    assert f"base: {base}/model.bin has changed since it was pulled" in done.stderr
    assert "tokenizer.json" not in done.stderr
    assert done.stdout == "0 complete, 1 damaged\n"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": 5}', '{"files": {"a": {"length": 5}}}', "\xff"]
)
def test_a_manifest_that_cannot_be_read_is_as_good_as_none(base: Path, text: str):
    (base / model_manifest.FILE_NAME).write_bytes(text.encode("latin-1"))
    assert model_manifest.read(base) is None
    assert run("verify").exit_code == 0
    assert run("list").exit_code == 0


def test_a_manifest_says_the_same_each_time(base: Path):
    told = json.loads((base / model_manifest.FILE_NAME).read_text())
    assert list(told["files"]) == ["config.json", "model.bin", "tokenizer.json"]
    assert told["files"]["config.json"]["size"] == 2


@pytest.mark.parametrize("words", [["huge"], ["huge/"], ["a/../b"], ["../a"]])
def test_an_unknown_model_comes_with_those_that_are_known(ours: Path, words: list[str]):
    done = run("pull", *words)
    assert done.exit_code == 1
    assert "allowed: tiny, tiny.en" in done.stderr


def test_one_folder_is_for_one_model(ours: Path):
    done = run("pull", "tiny", "base", "--as", "mine")
    assert done.exit_code == 2
    assert "--as" in done.stderr
