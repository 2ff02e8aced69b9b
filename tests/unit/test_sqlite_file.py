"""A damaged file of SQLite: every command names it, says what to do, and changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.db import migrate, sqlite_file
from core.db.models import SecretRow
from core.db.transactions import read_session
from core.errors import DatabaseDamaged, Unavailable
from core.settings import settings
from tests.factories.commands import parse_findings, run_command
from transcribe_api.app import create_app


@pytest.fixture
def file(data_dir: Path, migrated: Path) -> Path:
    data_dir.mkdir(mode=0o700)
    return Path(shutil.copy(migrated, data_dir))


def garbage_header(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"Dear Sir or Madam,\n\n" + content[20:])


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 5 * 4096 + 7])


def damaged_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for start in range(2 * 4096, len(content), 4096):
        content[start : start + 64] = b"\xff" * 64
    file.write_bytes(content)


def emptied(file: Path) -> None:
    (file.parent / "objects" / "jobs" / "some").mkdir(parents=True)
    file.write_bytes(b"")


BACKUP = ("backup", "never.tar")
SPOILERS = [garbage_header, truncated, damaged_pages, emptied]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_damage_is_named_and_nothing_is_changed(file: Path, spoil: Callable[[Path], None]):
    spoil(file)
    before = file.read_bytes()
    with pytest.raises(DatabaseDamaged) as refused:
        migrate.upgrade_database()
    for needed in (str(file), "damaged", "transcribe restore", ".recover"):
        assert needed in str(refused.value)

    for command, code in (
        (("keys", "list"), 3),
        (("webhooks", "secret"), 3),
        (("up",), 3),
        (BACKUP, 1),
    ):
        done = run_command(*command)
        assert (done.exit_code, str(file) in done.output) == (code, True), done.output
        assert "Traceback" not in done.output

    done = run_command("doctor", "--port", "0")
    assert done.exit_code == 1
    assert parse_findings(done.output)["records"].startswith("BROKEN")
    assert str(file) in parse_findings(done.output)["records"]
    assert file.read_bytes() == before
    assert not (file.parent / "redis").exists(), "nothing was started"


def test_a_whole_file_is_not_damaged_nor_is_a_missing_one(file: Path):
    assert sqlite_file.find_damage(file) is None
    assert (
        "DATABASE_URL is not set"
        in parse_findings(run_command("doctor", "--port", "0").output)["records"]
    )
    file.unlink()
    assert sqlite_file.find_damage(file) is None
    file.write_bytes(b"")  # of a start that was killed at once
    assert sqlite_file.find_damage(file) is None


def test_a_service_that_meets_damage_says_so_without_its_paths(file: Path):
    garbage_header(file)
    with pytest.raises(Unavailable, match=r"damaged.*transcribe doctor"), read_session() as session:
        session.get(SecretRow, "any")
    browser = create_app().test_client()
    answer = browser.get("/api/transcribe/jobs")
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert "damaged" in answer.json["detail"]
    assert str(file.parent) not in answer.text
    assert browser.get("/readyz").json["checks"]["database"] == "unavailable"


def test_only_sqlite_has_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for url, expected in (
        ("postgresql://somebody@somewhere/records", None),
        ("sqlite://", None),
        (f"sqlite:///{tmp_path}/mine.db", tmp_path / "mine.db"),
    ):
        monkeypatch.setenv("DATABASE_URL", url)
        settings.cache_clear()
        assert sqlite_file.find_file() == expected
