"""Data directories that cannot be: each gets a sentence that names what to set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import DataDirectoryError
from core.filesystem import data_directory
from core.settings import settings
from tests.factories.commands import parse_findings, run_command


def use(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("TRANSCRIBE_DATA_DIR", str(folder))
    settings.cache_clear()


def check_refused(expected: str) -> None:
    """Whatever needs the directory says the same."""
    with pytest.raises(DataDirectoryError, match=expected) as refused:
        data_directory.create_directory()
    assert "TRANSCRIBE_DATA_DIR" in str(refused.value)
    line = parse_findings(run_command("doctor", "--port", "0").output)["data directory"]
    assert line.startswith("BROKEN")
    for command in (("up", "--port", "0"), ("keys", "list"), ("jobs", "list")):
        done = run_command(*command)
        assert (done.exit_code, "Traceback" in done.output) == (3, False)
        assert str(refused.value) in done.output
    assert str(refused.value) in line


def test_a_missing_one_is_made_with_those_above_it(monkeypatch, tmp_path: Path):
    use(monkeypatch, tmp_path / "a" / "b" / "c")
    assert data_directory.find_obstacle(tmp_path / "a" / "b" / "c") is None
    assert not (tmp_path / "a").exists()
    assert data_directory.create_directory()
    assert (tmp_path / "a" / "b" / "c").is_dir()


@pytest.mark.parametrize("inside", ["", "data/deeper"])
def test_a_file_is_no_directory(monkeypatch, tmp_path: Path, inside: str):
    (tmp_path / "file").write_text("something")
    use(monkeypatch, tmp_path / "file" / inside)
    check_refused(f"{tmp_path}/file is a file")
    assert (tmp_path / "file").read_text() == "something"


def test_a_path_that_is_too_long(monkeypatch, tmp_path: Path):
    use(monkeypatch, tmp_path.joinpath(*["x" * 100] * 5))
    check_refused(rf"its path has \d+ bytes, but at most {data_directory.MAX_PATH_BYTES} are")


def test_a_name_that_is_too_long(monkeypatch, tmp_path: Path):
    use(monkeypatch, tmp_path / ("x" * 300))
    check_refused("255 per name")


def test_links_in_a_circle(monkeypatch, tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "link")
    use(monkeypatch, tmp_path / "link")
    done = run_command("doctor")
    assert done.exit_code == 1
    assert "TRANSCRIBE_DATA_DIR: must be the path of a folder" in done.output


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_read_only(monkeypatch, tmp_path: Path):
    with read_only(tmp_path / "disk"):
        use(monkeypatch, tmp_path / "disk" / "data")
        check_refused(f"{tmp_path}/disk is on a file system that is read-only")


def test_a_directory_of_somebody_else(monkeypatch, tmp_path: Path):
    use(monkeypatch, tmp_path / "data")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    check_refused(f"this account has no permission to write to {tmp_path}")


def test_an_account_that_may_not_write():
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    ask = (
        "import os; from pathlib import Path; from core.filesystem import data_directory; "
        "os.setuid(65534); print(data_directory.find_obstacle(Path('/usr/data')))"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert "this account has no permission to write to /usr" in done.stdout


def test_the_doctor_says_on_what_it_is_and_doubts_other_machines(monkeypatch, data_dir: Path):
    data_dir.mkdir(mode=0o700)
    kind, mounted = data_directory._find_mount(data_dir)
    assert (
        f"({kind} at {mounted})"
        in parse_findings(run_command("doctor", "--port", "0").output)["data directory"]
    )
    monkeypatch.setattr(data_directory, "_find_mount", lambda _: ("nfs4", "/home"))
    line = parse_findings(run_command("doctor", "--port", "0").output)["data directory"]
    assert line.startswith("WARNING")
    assert "nfs4 at /home" in line
