"""What tests share: a data directory of their own, and nothing of the developer's environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.settings import Settings, settings
from engines import catalog

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-url", help="PostgreSQL to keep records in, instead of SQLite")


def pytest_configure() -> None:
    """Tests that a script has started with ``&`` ignore Ctrl-C, and so would what they start: a
    stack would not end, and a command that is interrupted would go on to its end.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if catalog.SPHINX.installed():
        return
    skip = pytest.mark.skip(reason="PocketSphinx is not installed; it has no wheel for Python 3.12")
    for item in items:
        if item.get_closest_marker("sphinx"):
            item.add_marker(skip)


def skip_without_engine() -> None:
    """Skip what transcribes where no engine is installed that needs no server."""
    engines = catalog.recognizers().values()
    if not any(spec.installed() and spec.offer is None for spec in engines):
        pytest.skip("no speech engine is installed here that needs no server")


@pytest.fixture(autouse=True)
def data_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> Iterator[Path]:
    """An empty data directory; no setting of the developer's leaks into a test."""
    for name in Settings.variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)  # where there is no .env
    monkeypatch.setenv("TRANSCRIBE_DATA_DIR", str(tmp_path / "data"))
    # The engine that needs no model: what a machine has must not decide what is tested.
    monkeypatch.setenv("DEFAULT_TRANSCRIPTION_ENGINE", "sphinx")
    if url := pytestconfig.getoption("database_url"):
        monkeypatch.setenv("DATABASE_URL", url)
    settings.cache_clear()
    yield tmp_path / "data"
    settings.cache_clear()


@pytest.fixture
def database(data_dir: Path) -> Iterator[None]:
    """An empty, migrated database."""
    from core import db, records

    records.upgrade()
    yield
    if db.engine().dialect.name != "sqlite":  # which is a new file for each test
        _forget_everything(db.engine())
    db.engine().dispose()
    db._engine.cache_clear()


def _forget_everything(engine: Engine) -> None:
    from core.models import Base

    tables = ", ".join(Base.metadata.tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} CASCADE"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The project's test recordings, which are not part of the repository."""
    folder = Path(os.environ.get("TRANSCRIBE_TEST_AUDIO", ROOT.parent / "shared" / "audio"))
    if not folder.is_dir():
        pytest.skip("the test recordings are not here; set TRANSCRIBE_TEST_AUDIO to their folder")
    return folder
