"""How many files a process may have open: asked for at the start, and refused with the figure."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from tests.factories.commands import parse_findings, run_command
from transcribe_api.stack import open_files
from transcribe_api.stack.stack_error import StackError


def limits(soft: int, hard: int) -> list[str]:
    """A command that has such limits, and prints the first one after it asked for enough."""
    script = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from transcribe_api.stack import open_files\n"
        "open_files.require_open_files(threads=100, processes=1)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    return [sys.executable, "-c", script]


def test_what_the_system_grants_is_asked_for():
    done = subprocess.run(limits(64, 600), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "600"
    done = subprocess.run(limits(64, 4000), capture_output=True, text=True, check=True)
    assert int(done.stdout) == 2 * 100 + open_files.SPARE_FILES


def test_too_few_are_refused_with_the_figure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    needed = open_files.BASE_FILES + open_files.FILES_PER_PROCESS
    with pytest.raises(StackError, match=f"64 open files.*{needed} are needed.*ulimit -n {needed}"):
        open_files.require_open_files(threads=100, processes=1)
    line = parse_findings(run_command("doctor", "--port", "0").output)["open files"]
    assert line.startswith("BROKEN")
    assert "ulimit -n" in line


def test_no_limit_is_enough(monkeypatch: pytest.MonkeyPatch):
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)
    assert open_files.find_obstacle(1000) is None
    assert "any number" in parse_findings(run_command("doctor", "--port", "0").output)["open files"]
