"""What tests share: a data directory of their own, and nothing of the developer's environment."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.errors import EngineError
from core.settings import Settings, settings
from engines import catalog

# Before any of them is imported: their asserts are to say as much as those of tests.
pytest.register_assert_rewrite("tests.factories")

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-url", help="PostgreSQL to keep records in, instead of SQLite")


def pytest_configure() -> None:
    """Tests that a script has started with ``&`` ignore Ctrl-C, and so would what they start: a
    stack would not end, and a command that is interrupted would go on to its end.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("sphinx") and not catalog.SPHINX.is_installed():
        item.add_marker(_NO_SPHINX)


_NO_SPHINX = pytest.mark.skip(
    reason="PocketSphinx is not installed; it has no wheel for Python 3.12"
)


def engine_for_tests() -> str:
    """The engine that is quick and needs no model; Whisper where it is not installed."""
    return catalog.SPHINX.name if catalog.SPHINX.is_installed() else catalog.WHISPER.name


def skip_without_engine() -> None:
    """Skip what transcribes where no engine can work."""
    try:
        if not catalog.SPHINX.is_installed():
            catalog.query_capabilities(catalog.WHISPER)
    except EngineError as error:
        pytest.skip(f"no speech engine works here: {error}")


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
    monkeypatch.setenv("DEFAULT_TRANSCRIPTION_ENGINE", engine_for_tests())
    if url := pytestconfig.getoption("database_url"):
        monkeypatch.setenv("DATABASE_URL", url)
    settings.cache_clear()
    yield tmp_path / "data"
    settings.cache_clear()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite with no row in it: to run all migrations takes longer than most tests."""
    from core.db import migrate, transactions

    folder = tmp_path_factory.mktemp("migrated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRANSCRIBE_DATA_DIR", str(folder))
        patch.delenv("DATABASE_URL", raising=False)
        settings.cache_clear()
        migrate.upgrade_database()
        transactions.engine().dispose()  # which writes what lies beside the file into it
        transactions._engine.cache_clear()
        settings.cache_clear()
    return folder / "transcribe.db"


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    """An empty, migrated database."""
    from core.db import migrate, transactions

    if request.config.getoption("database_url"):
        request.getfixturevalue("data_dir")
        migrate.upgrade_database()
    else:
        migrated = request.getfixturevalue("migrated")
        data_dir = request.getfixturevalue("data_dir")
        data_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy(migrated, data_dir)
    yield
    if transactions.engine().dialect.name != "sqlite":  # which is a new file for each test
        _forget_everything(transactions.engine())
    transactions.engine().dispose()
    transactions._engine.cache_clear()


def _forget_everything(engine: Engine) -> None:
    from core.db.models import Base

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
