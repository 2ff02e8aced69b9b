"""Memory leases under ``MAX_MEMORY_GB``: they decide which process may load a model.

A process takes a lease before it loads a model and holds it while the model is loaded. Each process
has one file, which it locks for its lifetime. The kernel frees the lock however the process ends,
so an unlocked file is a lease without an owner. A process that gets no lease writes its request to
its file. Processes with a lease are then asked to leave when they are idle, or when the request has
waited long enough.

The leases apply to all processes with the same data directory on one host. A container counts as a
host: machines do not share memory.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO

import psutil

from core import clock
from core.errors import EngineError, Transient, Unavailable
from core.filesystem import private_files
from core.memory import cgroups
from core.memory.resource_config import ResourceConfig, read_config
from core.settings import settings

#: Seconds that a request waits before a process busy with another model must leave.
EVICT_AFTER_SECONDS = 60.0
#: Seconds between two checks for waiting requests by a process that keeps its model.
CHECK_EVERY_SECONDS = 1.0
#: Seconds after which an unused model may be dropped if its own process needs another one.
IDLE_SECONDS = 5.0
#: Seconds for which a request counts after it was last made: longer than a process pauses after it.
REQUEST_SECONDS = 15.0

_MIB = 1024**2


class OutOfMemoryBudget(Transient):
    """A model does not fit into the memory now; another process may have it loaded."""

    code = "no_room"


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """A model that a process would load if there were enough memory."""

    what: str
    mb: float
    #: Unix times: when it was first made, and until when it counts.
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class MemoryClaim:
    """The models that one process has loaded, and its request."""

    pid: int
    #: By slot ("engine" or "diarizer"): name of the model, MiB.
    holds: dict[str, tuple[str, float]] = field(default_factory=dict)
    wish: MemoryRequest | None = None
    #: Its worker terminates it, because others wait for its memory.
    is_leaving: bool = False
    #: MiB that the process really uses.
    resident: float = 0.0

    @property
    def mb(self) -> float:
        """Return the MiB to count: an engine may use more than its lease.

        A process without a model uses nothing of the budget for models.
        """
        return max(self.leased_mb, self.resident) if self.holds else 0.0

    @property
    def leased_mb(self) -> float:
        return sum(mb for _, mb in self.holds.values())

    def has_model(self, model: str) -> bool:
        return any(name == model for name, _ in self.holds.values())


def budget_mb(max_gb: float | None = None) -> float:
    """Return the MiB for this host's models: *max_gb* or ``MAX_MEMORY_GB``, or less if it has less.

    Some memory of the machine or container stays free for the processes without a model.
    """
    available = cgroups.memory_mb()
    requested_gb = settings().max_memory_gb if max_gb is None else max_gb
    return min(requested_gb * 1024, available - min(512.0, available / 5))


def is_room_for(
    claims: Sequence[MemoryClaim],
    own_claim: MemoryClaim,
    request: MemoryRequest,
    budget: float,
    now: float,
) -> bool:
    """Return whether a process can get its request in addition to all it has, *own_claim*.

    Earlier requests are served first.
    """
    used = own_claim.leased_mb + sum(claim.mb for claim in claims if claim.pid != own_claim.pid)
    earlier = sum(
        other.mb
        for other in find_unmet_requests(claims, own_claim.pid, now)
        if other.since < request.since and other.what != request.what
    )
    return used + earlier + request.mb <= budget


def find_unmet_requests(
    claims: Sequence[MemoryClaim], own_pid: int, now: float
) -> list[MemoryRequest]:
    """Return others' requests for models that no process has: second copies of a model can wait."""
    requests = [claim.wish for claim in claims if claim.pid != own_pid and claim.wish]
    return [
        request
        for request in requests
        if request.until > now and not any(claim.has_model(request.what) for claim in claims)
    ]


def is_eviction_due(
    claims: Sequence[MemoryClaim], own_pid: int, budget: float, now: float, min_wait: float
) -> bool:
    """Return whether others have waited at least *min_wait* s for memory of process *own_pid*."""
    free = budget - sum(claim.mb for claim in claims if not claim.is_leaving)
    return any(
        request.mb > free and now - request.since >= min_wait
        for request in find_unmet_requests(claims, own_pid, now)
    )


class ResourceManager:
    """The leases of this host, as one process sees them. Threads of a process share its leases."""

    def __init__(
        self,
        config: Path | str | None = None,
        *,
        folder: Path | None = None,
        budget: float | None = None,
    ) -> None:
        """Read the leases in *folder*, with a *budget* in MiB.

        *config*: a JSON file that overrides settings, see `core.memory.resource_config`. Raises
        `SettingsError` if it is invalid.
        """
        self.config = ResourceConfig() if config is None else read_config(Path(config))
        self._folder = folder or default_folder()
        self._budget = budget_mb(self.config.max_memory_gb) if budget is None else budget
        self._file: IO[str] | None = None
        self._claim = MemoryClaim(os.getpid())
        self._used_at: dict[str, float] = {}
        self._checked_at = 0.0
        #: The leases that remain if the request is granted.
        self._remaining: dict[str, tuple[str, float]] = {}

    @property
    def budget(self) -> float:
        """MiB for all models together."""
        return self._budget

    def hold(self, place: str, what: str, mb: float) -> None:
        """Take the lease of a model before it is loaded, or keep it.

        *place*: the slot; its current model is dropped first. *what*: the model. *mb*: MiB. Raises
        `OutOfMemoryBudget` if the model does not fit now, or if others have waited too long for
        memory of this process; see `is_leaving`. Raises `EngineError` if it can never fit.
        """
        if self._is_recently_checked(place, what, mb):
            self._used_at[place] = clock.now()
            return
        with self._lock_claims():
            claims, now = self._read_claims(), clock.now()
            self._checked_at = now
            if self._claim.holds.get(place) == (what, mb):
                self._keep_lease(claims, now)
            else:
                self._take_lease(place, what, mb, claims, now)
            self._used_at[place] = now

    def free(self, place: str) -> None:
        """Release a lease, after its model is unloaded."""
        with self._lock_claims():
            holds = {key: lease for key, lease in self._claim.holds.items() if key != place}
            self._write_claim(replace(self._claim, holds=holds))

    def close(self) -> None:
        """End all leases and requests of this process, as its exit does."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def has_room(self) -> bool:
        """Return whether the last request of this process fits now."""
        with self._lock_claims():
            request, own_claim = self._claim.wish, MemoryClaim(self._claim.pid, self._remaining)
            return request is None or is_room_for(
                self._read_claims(), own_claim, request, self._budget, clock.now()
            )

    @property
    def is_leaving(self) -> bool:
        """Return whether this process must end because others wait for its memory."""
        return self._claim.is_leaving

    def claims(self) -> list[MemoryClaim]:
        """Return the claims of all live processes of this host."""
        with self._lock_claims():
            return self._read_claims()

    def _is_recently_checked(self, slot: str, model: str, mb: float) -> bool:
        """Return whether a check was done lately: one per chunk costs more than a short chunk."""
        is_held = self._claim.holds.get(slot) == (model, mb) and not self._claim.is_leaving
        return is_held and 0 <= clock.now() - self._checked_at < CHECK_EVERY_SECONDS

    def _keep_lease(self, claims: Sequence[MemoryClaim], now: float) -> None:
        if is_eviction_due(claims, self._claim.pid, self._budget, now, EVICT_AFTER_SECONDS):
            self._write_claim(replace(self._claim, is_leaving=True))
            raise OutOfMemoryBudget(
                "other processes have waited too long for the memory of this process"
            )

    def _take_lease(
        self, slot: str, model: str, mb: float, claims: Sequence[MemoryClaim], now: float
    ) -> None:
        if mb > self._budget:
            raise EngineError(self._describe_excess(model, mb))
        request = self._build_request(model, mb, claims, now)
        # The current model of the slot is dropped first.
        remaining = {key: lease for key, lease in self._claim.holds.items() if key != slot}
        if not is_room_for(
            claims, MemoryClaim(self._claim.pid, remaining), request, self._budget, now
        ):
            self._remaining = remaining
            self._write_claim(
                replace(self._claim, wish=request, is_leaving=self._is_idle(remaining, now))
            )
            raise OutOfMemoryBudget(f"not enough free memory for {model}, which needs {mb:.0f} MiB")
        self._write_claim(MemoryClaim(self._claim.pid, {**remaining, slot: (model, mb)}))

    def _build_request(
        self, model: str, mb: float, claims: Sequence[MemoryClaim], now: float
    ) -> MemoryRequest:
        previous, since = self._claim.wish, now
        # While another process has the model loaded, the request does not count as waiting.
        if (
            previous
            and previous.what == model
            and not any(claim.has_model(model) for claim in claims)
        ):
            since = previous.since if previous.until > now else now
        return MemoryRequest(model, mb, since, now + REQUEST_SECONDS)

    def _is_idle(self, slots: Iterable[str], now: float) -> bool:
        """Return whether this process holds models that it does not need, and blocks itself."""
        return any(now - self._used_at[slot] >= IDLE_SECONDS for slot in slots)

    def _describe_excess(self, model: str, mb: float) -> str:
        return (
            f"{model} needs {mb / 1024:.1f} GiB of memory, but models on this machine can use "
            f"{self._budget / 1024:.1f} GiB: see MAX_MEMORY_GB"
        )

    @contextmanager
    def _lock_claims(self) -> Iterator[None]:
        """Let one process at a time read and change the claims."""
        try:
            private_files.make_folder(self._folder)
            guard_file = private_files.open_file(self._folder / "guard", "a")
        except OSError as error:
            raise Unavailable(f"cannot take a memory lease: {error.strerror}") from error
        with guard_file:
            fcntl.flock(guard_file, fcntl.LOCK_EX)
            yield

    def _read_claims(self) -> list[MemoryClaim]:
        claims = []
        for path in self._folder.glob("*.claim"):
            claim = _read_living_claim(path)
            if claim is not None:
                claims.append(replace(claim, resident=_resident_mb(claim.pid)))
        return claims

    def _write_claim(self, claim: MemoryClaim) -> None:
        self._claim = claim
        if self._file is None:
            self._file = private_files.open_file(self._folder / f"{os.getpid()}.claim", "w+")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.seek(0)
        self._file.truncate()
        json.dump(asdict(claim), self._file)
        self._file.flush()


def default_folder() -> Path:
    """Return a folder named after the host: containers share no memory, even if they share data."""
    return settings().transcribe_data_dir / "memory" / socket.gethostname()


def _read_living_claim(path: Path) -> MemoryClaim | None:
    """Return the claim of a live process, or remove a dead one's file. Needs the guard's lock."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _parse_claim(json.load(file))
    path.unlink(missing_ok=True)
    return None


def _parse_claim(data: dict[str, object]) -> MemoryClaim:
    request = data.pop("wish")
    holds = data.pop("holds")
    assert isinstance(holds, dict)
    return MemoryClaim(
        holds={slot: (model, mb) for slot, (model, mb) in holds.items()},
        wish=MemoryRequest(**request) if isinstance(request, dict) else None,
        **data,  # type: ignore[arg-type]
    )


def _resident_mb(pid: int) -> float:
    with suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss) / _MIB
    return 0.0
