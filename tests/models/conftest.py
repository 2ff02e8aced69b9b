"""Models with real weights, where they are: ``make test-models`` fetches them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings, settings
from engines.models.pinned_models import MODELS
from tests.integration.conftest import RunningStack, started
from tests.models.jobs import Jobs
from transcribe_api.client import Client

#: Read before a test forgets what this process was given.
MODEL_DIR = Settings().model_dir


def require(*names: str) -> None:
    """Skip where a model is not whole; set-up has compared its bytes with the makers' hashes."""
    if missing := [name for name in names if MODELS[name].find_size_mismatches(MODEL_DIR / name)]:
        wanted = " ".join(missing)
        pytest.skip(
            f"there are no weights of {wanted}, since no source of them was reached: "
            f"transcribe models pull {wanted}"
        )


@pytest.fixture(autouse=True)
def model_dir(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the weights are."""
    monkeypatch.setenv("MODEL_DIR", str(MODEL_DIR))
    settings.cache_clear()
    return MODEL_DIR


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """With workers for the engine `whisper`."""
    require("tiny.en")
    with started(
        tmp_path_factory.mktemp("stack"),
        MODEL_DIR=str(MODEL_DIR),
        WHISPER_DEFAULT_MODEL="tiny.en",
        WHISPER_AVAILABLE_MODELS="tiny.en,base",
        SUBMIT_LIMIT_PER_MINUTE="0",
        RATE_LIMIT_PER_MINUTE="0",
    ) as running:
        yield running


@pytest.fixture(scope="session")
def jobs(stack: RunningStack) -> Iterator[Jobs]:
    with Client(stack.url) as client:
        yield Jobs(client)
