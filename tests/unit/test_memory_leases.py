"""Memory leases: who may load a model, who must wait, and who must go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from core import clock
from core.errors import EngineError
from core.memory import cgroups
from core.memory import leases as memory_leases
from core.memory.leases import (
    EVICT_AFTER_SECONDS,
    IDLE_SECONDS,
    MemoryClaim,
    MemoryRequest,
    OutOfMemoryBudget,
    ResourceManager,
    budget_mb,
    is_eviction_due,
    is_room_for,
)
from core.settings import settings
from engines import catalog
from tasks.worker import memory
from tasks.worker.memory_alert import MemoryAlert

NOW = 1000.0
BUDGET = 10.0


def wish(what: str, mb: float, since: float = NOW) -> MemoryRequest:
    return MemoryRequest(what, mb, since, NOW + 10)


def holder(pid: int, what: str, mb: float, **more) -> MemoryClaim:
    return MemoryClaim(pid, {"recognizer": (what, mb)}, **more)


# The arithmetic


def ask(
    claims: list[MemoryClaim], mb: float, since: float = NOW, what: str = "x", has: float = 0.0
):
    return is_room_for(claims, holder(1, "mine", has), wish(what, mb, since), BUDGET, NOW)


def test_what_fits_beside_the_others_may_be_loaded():
    assert ask([holder(2, "a", 6)], 4)
    assert not ask([holder(2, "a", 6)], 5)
    assert not ask([holder(2, "a", 6)], 4, has=1)
    assert ask([holder(1, "what is replaced", 6)], 10)


def test_an_engine_that_takes_more_than_it_was_said_to_counts_with_what_it_takes():
    assert not ask([holder(2, "a", 1, resident=7)], 4)


def test_a_process_without_a_model_counts_for_nothing():
    assert ask([MemoryClaim(2, resident=7)], 4)


def test_who_asked_first_is_served_first():
    first = MemoryClaim(2, wish=wish("big", 8, NOW - 5))
    assert not ask([first], 4)
    assert ask([first], 4, since=NOW - 9)
    assert ask([first], 4, what="big"), "either will do the work of both"


@pytest.mark.parametrize(
    "nobody_waits",
    [
        [MemoryClaim(2, wish=MemoryRequest("big", 8, NOW - 50, NOW - 1))],  # any more
        [MemoryClaim(2, wish=wish("a", 8, NOW - 50)), holder(3, "a", 2)],  # for what nobody has
    ],
)
def test_some_wishes_hold_up_nobody(nobody_waits: list[MemoryClaim]):
    assert ask(nobody_waits, 4)
    assert not leaves([holder(1, "b", 8), *nobody_waits])


def leaves(claims: list[MemoryClaim], patience: float = EVICT_AFTER_SECONDS) -> bool:
    return is_eviction_due(claims, 1, BUDGET, NOW, patience)


def test_who_has_what_others_have_waited_for_must_leave():
    waiting = MemoryClaim(2, wish=wish("b", 5, NOW - EVICT_AFTER_SECONDS))
    assert leaves([holder(1, "a", 8), waiting])
    assert not leaves([holder(1, "a", 5), waiting]), "there is room"
    assert not leaves([holder(1, "a", 8), MemoryClaim(2, wish=wish("b", 5, NOW - 1))]), (
        "not so soon"
    )
    assert not leaves([holder(1, "a", 4), holder(3, "a", 4, is_leaving=True), waiting])
    assert not leaves([holder(1, "a", 8, wish=wish("b", 5, NOW - EVICT_AFTER_SECONDS))]), (
        "its own wish"
    )


# The leases


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "memory"


@pytest.fixture
def leases(folder: Path) -> Iterator[ResourceManager]:
    ours = ResourceManager(folder=folder, budget=10_000.0)
    yield ours
    ours.close()


_HOLD = """
import sys
from pathlib import Path
from core.memory.leases import OutOfMemoryBudget, ResourceManager
leases = ResourceManager(folder=Path(sys.argv[1]), budget=10_000.0)
try:
    leases.hold("recognizer", sys.argv[2], float(sys.argv[3]))
    print("loaded", flush=True)
except OutOfMemoryBudget:
    print("no room", flush=True)
sys.stdin.read()
"""


class Other:
    """Another process, which wants to hold a lease."""

    def __init__(self, folder: Path, what: str, mb: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, folder, what, str(mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.answer = self._process.stdout.readline().strip()

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_a_lease_ends_with_its_process_however_that_ends(folder: Path, leases: ResourceManager):
    with Other(folder, "a", 6000) as other:
        assert other.answer == "loaded"
        with pytest.raises(
            OutOfMemoryBudget, match="not enough free memory for b, which needs 5000 MiB"
        ):
            leases.hold("recognizer", "b", 5000)
        assert not leases.has_room()
        other.kill()
        assert leases.has_room()
        leases.hold("recognizer", "b", 5000)
    assert [one.holds for one in leases.claims()] == [{"recognizer": ("b", 5000)}]


def test_a_model_takes_the_place_of_the_one_before(leases: ResourceManager):
    leases.hold("recognizer", "a", 6000)
    leases.hold("recognizer", "b", 9000)
    assert leases.claims()[0].holds == {"recognizer": ("b", 9000)}


def test_what_never_fits_is_an_error_that_names_the_setting(leases: ResourceManager):
    with pytest.raises(EngineError, match=r"a needs 14\.6 GiB .* use 9\.8 GiB: see MAX_MEMORY_GB"):
        leases.hold("recognizer", "a", 15_000)


def test_a_process_leaves_when_others_have_waited_long_enough(
    folder: Path, leases: ResourceManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory_leases, "CHECK_EVERY_SECONDS", 0.0)
    leases.hold("recognizer", "a", 6000)
    with Other(folder, "b", 6000) as other:
        assert other.answer == "no room"
        leases.hold("recognizer", "a", 6000)
        monkeypatch.setattr(memory_leases, "EVICT_AFTER_SECONDS", 0.0)
        with pytest.raises(OutOfMemoryBudget, match="other processes have waited too long"):
            leases.hold("recognizer", "a", 6000)
    assert leases.is_leaving


@pytest.mark.parametrize(("every", "leaves"), [(float("inf"), False), (0.0, True)])
def test_a_process_that_goes_on_looks_now_and_then_whether_others_wait(
    folder: Path, leases: ResourceManager, monkeypatch: pytest.MonkeyPatch, every, leaves
):
    monkeypatch.setattr(memory_leases, "EVICT_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(memory_leases, "CHECK_EVERY_SECONDS", every)
    leases.hold("recognizer", "a", 6000)
    with Other(folder, "b", 6000) as other:
        assert other.answer == "no room"
        with pytest.raises(OutOfMemoryBudget) if leaves else nullcontext():
            leases.hold("recognizer", "a", 6000)
    assert leases.is_leaving is leaves


@pytest.mark.parametrize(("model", "waits_longer"), [("a", False), ("b", True)])
def test_nobody_waits_for_what_another_process_has(
    folder: Path, leases: ResourceManager, monkeypatch: pytest.MonkeyPatch, model, waits_longer
):
    waits = []
    with Other(folder, "a", 6000):
        for later in (0.0, 10.0):
            moment = clock.now() + later
            monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
            with pytest.raises(OutOfMemoryBudget):
                leases.hold("recognizer", model, 6000)
            (mine,) = (one.wish for one in leases.claims() if one.wish)
            waits.append(moment - mine.since)
    assert waits == [0.0, 10.0 if waits_longer else 0.0]


def test_a_process_leaves_that_stands_in_its_own_way(
    leases: ResourceManager, monkeypatch: pytest.MonkeyPatch
):
    leases.hold("recognizer", "a", 6000)
    for later, is_leaving in ((0.0, False), (IDLE_SECONDS, True)):
        moment = clock.now() + later
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        with pytest.raises(OutOfMemoryBudget):
            leases.hold("diarizer", "b", 6000)
        assert leases.is_leaving is is_leaving


# What there is


@pytest.mark.parametrize(
    ("group", "files", "mb"),
    [
        ("0::/pod/one\n", {"pod/memory.max": 3 << 30, "pod/one/memory.max": "max"}, 3072),
        ("0::/of/the/host\n", {"memory.max": 1 << 30}, 1024),
        ("4:memory:/docker/x\n0::/\n", {"memory/docker/x/memory.limit_in_bytes": 2 << 30}, 2048),
        ("4:memory:/\n1:cpu:/\n", {"memory/memory.limit_in_bytes": 9223372036854771712}, None),
        ("", {}, None),
    ],
)
def test_a_container_has_what_it_is_allowed(tmp_path: Path, group: str, files: dict, mb):
    for name, limit in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    (tmp_path / "own").write_text(group)
    machine = psutil.virtual_memory().total / 2**20
    assert cgroups.memory_mb(tmp_path / "cgroup", tmp_path / "own") == (mb or machine)


@pytest.mark.parametrize(("there", "budget"), [(1000, 800), (16_384, 15_872), (65_536, 28 * 1024)])
def test_the_budget_leaves_something_to_the_others(monkeypatch, there: float, budget: float):
    monkeypatch.delenv("MAX_MEMORY_GB", raising=False)
    settings.cache_clear()
    monkeypatch.setattr(cgroups, "memory_mb", lambda: there)
    assert budget_mb() == budget


def test_smaller_models_take_less():
    sizes = [catalog.memory_mb(catalog.WHISPERX, name) for name in catalog.WHISPERX.models]
    assert sizes == sorted(sizes)
    assert catalog.memory_mb(catalog.WHISPERX) == sizes[-1]
    assert catalog.memory_mb(catalog.RIVA) == 0


def test_a_healthy_process_is_far_from_being_replaced():
    whole = catalog.WHISPERX.memory_mb + catalog.PYANNOTE.memory_mb
    both = memory.max_process_kib(
        [catalog.WHISPERX.queue, catalog.SPHINX.queue, catalog.PYANNOTE.queue]
    )
    assert both == 1024 * (2 * whole + memory.LIBRARIES_MB)
    assert memory.max_process_kib(["control"]) == 1024 * memory.LIBRARIES_MB


def test_the_alarm_rings_once_a_crossing():
    alarm = MemoryAlert()
    for resident in (5.0, 8.6, 9.0, 8.2, 8.6, 5.0, 9.0):
        alarm.update([holder(1, "a", 1, resident=resident), MemoryClaim(2, resident=9)], BUDGET)
    assert alarm.alert_count == 2
    assert alarm.used_share == 0.9
