"""The doctor says what works, what is only absent, and what repairs the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import settings
from engines import catalog
from tests.factories.commands import parse_findings, run_command


@pytest.fixture
def model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one whole model and a broken one."""
    for name in ("base", "small"):
        (tmp_path / "models" / name).mkdir(parents=True)
        for file in ("config.json", "tokenizer.json"):
            (tmp_path / "models" / name / file).write_text("{}")
    (tmp_path / "models" / "base" / "model.bin").write_bytes(bytes(3_000_000))
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    settings.cache_clear()
    return tmp_path / "models"


def test_a_fresh_machine_is_well(data_dir: Path):
    done = run_command("doctor")
    findings = parse_findings(done.output)
    assert done.exit_code == 0, done.output
    sphinx = "ok" if catalog.SPHINX.is_installed() else "absent"
    assert findings["engine sphinx"].startswith(sphinx)
    assert findings["data directory"].startswith("ok")
    assert "DATABASE_URL is not set" in findings["records"]


@pytest.mark.skipif(catalog.WHISPERX.is_installed(), reason="WhisperX is installed here")
def test_an_engine_that_is_not_installed_comes_with_the_command_that_installs_it():
    line = parse_findings(run_command("doctor").output)["engine whisperx"]
    assert line.startswith("absent")
    assert "pip install -e '.[whisperx]'" in line


@pytest.mark.parametrize(
    ("setting", "value", "about"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0", "redis"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "records"),
    ],
)
def test_what_does_not_answer_is_broken(monkeypatch, setting: str, value: str, about: str):
    monkeypatch.setenv(setting, value)
    settings.cache_clear()
    done = run_command("doctor")
    assert done.exit_code == 1
    assert parse_findings(done.output)[about].startswith("BROKEN")
    assert setting in parse_findings(done.output)[about]


def test_models_are_listed_with_their_places(model_dir: Path):
    lines = {line.split()[1]: line for line in run_command("models", "list").output.splitlines()}
    assert f"3 MB in {model_dir / 'base'}" in lines["base"]
    assert "has no model.bin" in lines["small"]
    assert lines["large-v3"].endswith("not on this machine")
    assert lines["pyannote/speaker-diarization-community-1"].endswith("not on this machine")


def test_a_model_in_the_cache_is_found(model_dir: Path):
    snapshot = model_dir / "models--Systran--faster-whisper-tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in ("config.json", "tokenizer.json", "model.bin"):
        (snapshot / file).write_text("{}")
    lines = {line.split()[1]: line for line in run_command("models", "list").output.splitlines()}
    assert str(snapshot) in lines["tiny"]


def test_verify_fails_while_a_model_is_broken(model_dir: Path):
    done = run_command("models", "verify")
    assert done.exit_code == 1
    assert "1 complete, 1 damaged" in done.output
    (model_dir / "small" / "model.bin").write_bytes(b"x")
    assert run_command("models", "verify").exit_code == 0
