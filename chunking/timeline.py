"""Where sound belongs in time, by the timestamps of its frames.

A container may leave sound out: it begins later than the picture, packets were lost or cannot be
decoded, pauses were not sent. What follows must not move ahead, so silence stands for what is
missing. Timestamps may also be wrong: they jitter by some milliseconds, jump back, or claim days.
One that differs from the count of samples is believed only if none within the next second returns
to that count. Only the decoder imports this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Seconds that a timestamp may differ from the count of samples; containers round to milliseconds.
TOLERANCE = 0.015
#: Seconds of sound over which a difference must last before it is believed.
PROOF = 1.0
#: Sound that is there twice is told by at most so many seconds; more is a jump back of the clock.
MOST_OVERLAP = 1.0
#: Seconds of silence that are believed at the end of a file, where there is no second to prove it.
MOST_AT_END = 10.0


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing is known of the recording from the present place up to this one (seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """The beginning of what follows was there before (seconds)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    frame: Any
    #: Seconds by which its timestamp is after the count of samples.
    late: float
    length: float


class Timeline:
    """Takes frames in order, and gives them back with what stands between them."""

    def __init__(self, origin: float, longest: float, lead: float = 0.0) -> None:
        """*origin*: timestamp of the container's start; *longest*: of a recording (seconds).

        *lead*: the first frame may be so late and yet be the beginning (seconds).
        """
        self._shift = origin
        self._lead = lead
        self._longest = longest
        #: Seconds up to which everything was given back.
        self._now = 0.0
        #: Frames whose timestamps are not believed yet, and how much sound they hold.
        self._waiting: deque[_Waiting] = deque()
        self._held = 0.0
        #: From and until when silence stands for missing sound.
        self.holes: list[tuple[float, float]] = []

    def add(self, frame: Any, start: float | None, length: float) -> Iterator[Any]:
        """Give back what is certain now: frames, `Silence` and `Overlap`, in order.

        *start*: the timestamp, or None for a frame that follows the one before; *length* of the
        frame (seconds).
        """
        if start is not None and self._lead:
            if 0 < start - self._shift <= self._lead:
                self._shift = start
            self._lead = 0.0
        late = self._lateness(start)
        if self._waiting and late * self._waiting[0].late <= 0 and abs(late) > TOLERANCE:
            yield from self._give_all()  # first ahead, then behind: neither is to be believed
            late = self._lateness(start)
        self._waiting.append(_Waiting(frame, late, length))
        self._held += length
        if abs(late) <= TOLERANCE:
            yield from self._give_all()
        while self._held - (self._waiting[0].length if self._waiting else 0) >= PROOF:
            yield from self._believe()

    def end(self, declared: float | None) -> Iterator[Any]:
        """Give back the rest. *declared*: seconds of the whole, where that is known."""
        while self._waiting:
            ends = self._now + self._least() + self._held
            most = self._now + MOST_AT_END + self._held if declared is None else declared + PROOF
            if ends > most:
                yield from self._give_all()
            else:
                yield from self._believe()

    def _lateness(self, start: float | None) -> float:
        if start is None:
            return self._waiting[-1].late if self._waiting else 0.0
        return start - self._shift - self._now - self._held

    def _least(self) -> float:
        """The least difference of all that wait, which are all ahead or all behind."""
        return min((one.late for one in self._waiting), key=abs)

    def _believe(self) -> Iterator[Any]:
        """Take the least difference for true, and give the first frames after it."""
        late = self._least()
        if late > 0 and self._now + late + self._held <= self._longest:
            yield self._leave_out(late)
        elif -MOST_OVERLAP <= late < 0:
            self._now += late
            yield Overlap(-late)
        else:
            self._shift += late
        self._waiting = deque(
            _Waiting(one.frame, one.late - late, one.length) for one in self._waiting
        )
        yield from self._give_first()

    def _leave_out(self, seconds: float) -> Silence:
        start, self._now = self._now, self._now + seconds
        self.holes.append((start, self._now))
        return Silence(self._now)

    def _give_first(self) -> Iterator[Any]:
        """All up to the last frame that is where its timestamp says."""
        right = [at for at, one in enumerate(self._waiting) if abs(one.late) <= TOLERANCE]
        for _ in range(max(right) + 1):
            yield self._give()

    def _give_all(self) -> Iterator[Any]:
        while self._waiting:
            yield self._give()

    def _give(self) -> Any:
        one = self._waiting.popleft()
        self._held -= one.length
        self._now += one.length
        return one.frame
