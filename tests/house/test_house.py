"""The house keeps its own rules: what the documents say is what the code does."""

import re
from pathlib import Path

import pytest

from chunking import cut
from core.settings import Settings
from core.storage import layout
from engines import catalog
from tasks import queues
from tests.conftest import ROOT
from tests.factories.source_files import list_sources

#: Lines that a file may have before it must be taken apart.
LONGEST_FILE = 420


@pytest.mark.parametrize("path", list_sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_grows_into_the_one_that_everybody_adds_to(path: Path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_every_setting_is_in_the_example_and_no_other():
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


def test_every_setting_is_documented():
    told = (ROOT / "docs" / "settings.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in told] == []


def test_every_metric_is_documented_and_no_other():
    from core import metrics

    found = {
        f"{name}_total" if metric.type == "counter" else name
        for name, metric in metrics.build_empty_metrics().items()
    }
    told = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| `(transcribe_\w+)` \|", told, re.MULTILINE)) == found


def test_every_step_that_is_sent_exists():
    from tasks.celery import app

    app.loader.import_default_modules()
    senders = ("pipeline.py", "messages.py", "cancelling.py")
    text = "".join((ROOT / "tasks" / name).read_text() for name in senders)
    sent = re.findall(r'"(\w+)"', text)
    steps = {"prepare", "transcribe_chunk", "diarize", "merge", "fan_out", "deliver", "purge"}
    assert steps <= set(sent)
    assert steps <= set(app.tasks)
    assert {"housekeeping", "clean_up"} <= set(app.tasks)


def test_what_beat_asks_for_exists():
    from tasks.celery import app

    app.loader.import_default_modules()
    asked = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert asked <= set(app.tasks)


def test_the_embedded_stack_watches_every_queue_that_it_can_serve():
    from transcribe_api.stack.supervisor import Stack

    watched = set()
    for part in Stack(port=1)._list_components():
        if "worker" in part.command:
            watched |= set(part.command[part.command.index("-Q") + 1].split(","))
    assert watched == set(queues.list_servable_queues())


def test_no_living_step_is_delivered_twice():
    """The broker sends again what it thinks is lost: not before the longest step must be over."""
    from tasks.celery import app

    app.loader.import_default_modules()
    limits = [task.time_limit or 0 for task in app.tasks.values()]
    assert max(limits) < app.conf.broker_transport_options["visibility_timeout"]


def test_every_known_engine_fits_into_the_records():
    from core.db.models import ENGINES

    assert set(catalog.recognizers()) == set(ENGINES)


def test_a_chunk_has_one_name():
    assert layout.chunk_audio("1", 7).endswith("/" + cut.chunk_name(7))


def test_models_and_migrations_agree(database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from core.db.models import Base, compare_type
    from core.db.transactions import engine

    with engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": compare_type})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_go_down_and_up_again(database):
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import inspect

    from core.db.migrate import upgrade_database
    from core.db.transactions import engine

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    command.downgrade(config, "base")
    assert set(inspect(engine()).get_table_names()) == {"alembic_version"}
    upgrade_database()
    assert "transcript_jobs" in inspect(engine()).get_table_names()


def test_nothing_tells_of_the_machine_that_it_was_written_on():
    told = [*list_sources(), *ROOT.glob("*.*"), *(ROOT / "docs").rglob("*.md")]
    found = [str(path) for path in told if path.is_file() and b"/work/" in path.read_bytes()]
    assert found == []


def test_every_test_that_the_documents_name_exists():
    pages = [ROOT / "docs" / name for name in ("architecture.md", "security.md")]
    told = "".join(page.read_text() for page in pages)
    named = set(re.findall(r"`(test_\w+)`", told))
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in code] == []


def test_nobody_is_told_to_install_a_strangers_package():
    """On the public index, `transcribe` is somebody else's, and `chordscribe` is nobody's yet."""
    files = [*list_sources(), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "Makefile"]
    bare = re.compile(r"pip install[^\n`]*[\s'\"](transcribe|chordscribe)(\[|['\"\s]|$)")
    found = [path.name for path in files if bare.search(path.read_text())]
    assert found == []


def test_every_file_of_tests_that_is_named_exists():
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "Makefile"]
    named = {name for file in files for name in re.findall(r"tests/[a-z_/]+\.py", file.read_text())}
    assert named
    assert sorted(name for name in named if not (ROOT / name).is_file()) == []
