"""Who may load a model on this machine: memory leases under ``MAX_MEMORY_GB``.

A process takes a lease before it loads a model and holds it as long as the model is loaded. Each
process has one file, locked for as long as it lives: the kernel frees the lock however the process
ends, and a file that nobody has locked is a lease that nobody has. A process that finds no room
writes down what it wants, and those who were there first are asked to leave when they are idle, or
when the other has waited long enough.

The leases count for all processes with the same data directory on one host, which is a container
where there are containers: machines do not share memory.
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

from core import cgroups, clock, private_files
from core.errors import EngineError, Transient, Unavailable
from core.resource_config import ResourceConfig, read_config
from core.settings import settings

#: Seconds that a process waits for one that is at work with another model, before that must leave.
PATIENCE = 60.0
#: Seconds between two looks of a process that goes on with its model whether others wait for it.
LOOK_EVERY = 1.0
#: Seconds after which a model that was not used may go when its own process wants another.
UNUSED = 5.0
#: Seconds that a wish counts after it was last uttered: longer than anybody sits out.
WISH_SECONDS = 15.0

_MIB = 1024**2


class NoRoom(Transient):
    """A model does not fit into the memory now; another process may have it loaded."""

    code = "no_room"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a process would load if there were room."""

    what: str
    mb: float
    #: When it was first uttered, and until when it counts; seconds since 1970.
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What one process has loaded, and what it wants."""

    pid: int
    #: By the place that a model takes in its process: name of the model, MiB.
    holds: dict[str, tuple[str, float]] = field(default_factory=dict)
    wish: Wish | None = None
    #: Its worker ends it, because others wait for its memory.
    is_leaving: bool = False
    #: MiB that it really takes.
    resident: float = 0.0

    @property
    def mb(self) -> float:
        """MiB to reckon with: an engine may take more than it was said to.

        A process without a model takes nothing of what is for models.
        """
        return max(self.leased, self.resident) if self.holds else 0.0

    @property
    def leased(self) -> float:
        return sum(mb for _, mb in self.holds.values())

    def has(self, what: str) -> bool:
        return any(name == what for name, _ in self.holds.values())


def budget_mb(max_gb: float | None = None) -> float:
    """MiB for the models of this host: *max_gb* or ``MAX_MEMORY_GB``, or less where there is less.

    Of the machine's memory, or the container's, something stays free for the processes without a
    model.
    """
    there = cgroups.memory_mb()
    wanted = settings().max_memory_gb if max_gb is None else max_gb
    return min(wanted * 1024, there - min(512.0, there / 5))


def fits(claims: Sequence[Claim], me: Claim, wanted: Wish, budget: float, now: float) -> bool:
    """Whether a process may have what it wants beside all that it has, *me*.

    Who asked first is served first.
    """
    taken = me.leased + sum(one.mb for one in claims if one.pid != me.pid)
    first = sum(
        wish.mb
        for wish in unmet(claims, me.pid, now)
        if wish.since < wanted.since and wish.what != wanted.what
    )
    return taken + first + wanted.mb <= budget


def unmet(claims: Sequence[Claim], me: int, now: float) -> list[Wish]:
    """What others need and nobody has loaded: whoever wants one more of the same can wait."""
    wishes = [one.wish for one in claims if one.pid != me and one.wish]
    return [
        wish
        for wish in wishes
        if wish.until > now and not any(one.has(wish.what) for one in claims)
    ]


def must_leave(
    claims: Sequence[Claim], me: int, budget: float, now: float, patience: float
) -> bool:
    """Whether others have waited *patience* s or longer for memory that the process *me* has."""
    free = budget - sum(one.mb for one in claims if not one.is_leaving)
    return any(wish.mb > free and now - wish.since >= patience for wish in unmet(claims, me, now))


class ResourceManager:
    """The leases of this host, as one process sees them. Threads of a process share its leases."""

    def __init__(
        self,
        config: Path | str | None = None,
        *,
        folder: Path | None = None,
        budget: float | None = None,
    ) -> None:
        """*config*: a JSON file that takes precedence over settings, see `core.resource_config`.

        *folder*: where the leases lie; *budget*: MiB. Raises `SettingsError` for a wrong file.
        """
        self.config = ResourceConfig() if config is None else read_config(Path(config))
        self._folder = folder or default_folder()
        self._budget = budget_mb(self.config.max_memory_gb) if budget is None else budget
        self._file: IO[str] | None = None
        self._mine = Claim(os.getpid())
        self._used_at: dict[str, float] = {}
        self._looked_at = 0.0
        #: What stays when the wish is granted.
        self._kept: dict[str, tuple[str, float]] = {}

    @property
    def budget(self) -> float:
        """MiB for all models together."""
        return self._budget

    def hold(self, place: str, what: str, mb: float) -> None:
        """Take the lease of a model, before it is loaded, or go on with it.

        *place*: what is loaded there is dropped first; *mb*: MiB. Raises `NoRoom` when it does not
        fit now, or when others have waited too long for what this process has; see `is_leaving`.
        Raises `EngineError` when it can never fit.
        """
        if self._need_not_look(place, what, mb):
            self._used_at[place] = clock.now()
            return
        with self._guarded():
            claims, now = self._look(), clock.now()
            self._looked_at = now
            if self._mine.holds.get(place) == (what, mb):
                self._go_on(claims, now)
            else:
                self._take(place, what, mb, claims, now)
            self._used_at[place] = now

    def free(self, place: str) -> None:
        """Give a lease back: nothing is loaded there any more."""
        with self._guarded():
            holds = {other: held for other, held in self._mine.holds.items() if other != place}
            self._write(replace(self._mine, holds=holds))

    def close(self) -> None:
        """End all leases and wishes of this process, as its end does."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def has_room(self) -> bool:
        """Whether there is room now for what this process wanted last."""
        with self._guarded():
            wish, me = self._mine.wish, Claim(self._mine.pid, self._kept)
            return wish is None or fits(self._look(), me, wish, self._budget, clock.now())

    @property
    def is_leaving(self) -> bool:
        """Whether this process is to end, since others wait for its memory."""
        return self._mine.is_leaving

    def claims(self) -> list[Claim]:
        """What the living processes of this host have and want."""
        with self._guarded():
            return self._look()

    def _need_not_look(self, place: str, what: str, mb: float) -> bool:
        """To look at all claims at every chunk would cost more than a short one does beside it."""
        has_it = self._mine.holds.get(place) == (what, mb) and not self._mine.is_leaving
        return has_it and 0 <= clock.now() - self._looked_at < LOOK_EVERY

    def _go_on(self, claims: Sequence[Claim], now: float) -> None:
        if must_leave(claims, self._mine.pid, self._budget, now, PATIENCE):
            self._write(replace(self._mine, is_leaving=True))
            raise NoRoom("others have waited long enough for the memory of this process")

    def _take(self, place: str, what: str, mb: float, claims: Sequence[Claim], now: float) -> None:
        if mb > self._budget:
            raise EngineError(self._never(what, mb))
        wish = self._wish(what, mb, claims, now)
        # What is there is dropped first.
        kept = {other: held for other, held in self._mine.holds.items() if other != place}
        if not fits(claims, Claim(self._mine.pid, kept), wish, self._budget, now):
            self._kept = kept
            self._write(replace(self._mine, wish=wish, is_leaving=self._is_idle(kept, now)))
            raise NoRoom(f"there is no memory free for {what}, which needs {mb:.0f} MB")
        self._write(Claim(self._mine.pid, {**kept, place: (what, mb)}))

    def _wish(self, what: str, mb: float, claims: Sequence[Claim], now: float) -> Wish:
        before, since = self._mine.wish, now
        # While somebody has the model, nobody waits for it.
        if before and before.what == what and not any(one.has(what) for one in claims):
            since = before.since if before.until > now else now
        return Wish(what, mb, since, now + WISH_SECONDS)

    def _is_idle(self, kept: Iterable[str], now: float) -> bool:
        """Whether this process itself holds what is not needed: it stands in its own way."""
        return any(now - self._used_at[place] >= UNUSED for place in kept)

    def _never(self, what: str, mb: float) -> str:
        return (
            f"{what} needs {mb / 1024:.1f} GB of memory, but this machine may use "
            f"{self._budget / 1024:.1f} GB for models: see MAX_MEMORY_GB"
        )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """One process at a time looks and decides."""
        try:
            private_files.make_folder(self._folder)
            guard = private_files.open_file(self._folder / "guard", "a")
        except OSError as error:
            raise Unavailable(f"no lease of memory can be had: {error.strerror}") from error
        with guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def _look(self) -> list[Claim]:
        found = []
        for path in self._folder.glob("*.claim"):
            claim = _living(path)
            if claim is not None:
                found.append(replace(claim, resident=_resident(claim.pid)))
        return found

    def _write(self, mine: Claim) -> None:
        self._mine = mine
        if self._file is None:
            self._file = private_files.open_file(self._folder / f"{os.getpid()}.claim", "w+")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.seek(0)
        self._file.truncate()
        json.dump(asdict(mine), self._file)
        self._file.flush()


def default_folder() -> Path:
    """By the name of the host: containers may share a data directory, but not their memory."""
    return settings().transcribe_data_dir / "memory" / socket.gethostname()


def _living(path: Path) -> Claim | None:
    """What a process wrote; removes what a dead one has left. Only for whoever has the guard."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(json.load(file))
    path.unlink(missing_ok=True)
    return None


def _read(told: dict[str, object]) -> Claim:
    wish = told.pop("wish")
    holds = told.pop("holds")
    assert isinstance(holds, dict)
    return Claim(
        holds={place: (what, mb) for place, (what, mb) in holds.items()},
        wish=Wish(**wish) if isinstance(wish, dict) else None,
        **told,  # type: ignore[arg-type]
    )


def _resident(pid: int) -> float:
    with suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss) / _MIB
    return 0.0
