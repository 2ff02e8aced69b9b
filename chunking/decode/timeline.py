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
TOLERANCE_SECONDS = 0.015
#: Seconds of sound over which a difference must last before it is believed.
PROOF_SECONDS = 1.0
#: Sound that is there twice is told by at most so many seconds; more is a jump back of the clock.
MAX_OVERLAP_SECONDS = 1.0
#: Seconds of silence that are believed at the end of a file, where there is no second to prove it.
MAX_END_SILENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing is known of the recording from the present place up to this one (seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """The beginning of what follows was there before (seconds)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class _PendingFrame:
    frame: Any
    #: Seconds by which its timestamp is after the count of samples.
    delay: float
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
        self._position = 0.0
        #: Frames whose timestamps are not believed yet, and how much sound they hold.
        self._pending: deque[_PendingFrame] = deque()
        self._pending_seconds = 0.0
        #: From and until when silence stands for missing sound.
        self.silences: list[tuple[float, float]] = []

    def add(self, frame: Any, start: float | None, length: float) -> Iterator[Any]:
        """Give back what is certain now: frames, `Silence` and `Overlap`, in order.

        *start*: the timestamp, or None for a frame that follows the one before; *length* of the
        frame (seconds).
        """
        if start is not None and self._lead:
            if 0 < start - self._shift <= self._lead:
                self._shift = start
            self._lead = 0.0
        delay = self._measure_delay(start)
        if self._pending and delay * self._pending[0].delay <= 0 and abs(delay) > TOLERANCE_SECONDS:
            yield from self._release_all()  # first ahead, then behind: neither is to be believed
            delay = self._measure_delay(start)
        self._pending.append(_PendingFrame(frame, delay, length))
        self._pending_seconds += length
        if abs(delay) <= TOLERANCE_SECONDS:
            yield from self._release_all()
        while (
            self._pending_seconds - (self._pending[0].length if self._pending else 0)
            >= PROOF_SECONDS
        ):
            yield from self._accept_delay()

    def finish(self, declared: float | None) -> Iterator[Any]:
        """Give back the rest. *declared*: seconds of the whole, where that is known."""
        while self._pending:
            end = self._position + self._find_smallest_delay() + self._pending_seconds
            limit = (
                self._position + MAX_END_SILENCE_SECONDS + self._pending_seconds
                if declared is None
                else declared + PROOF_SECONDS
            )
            if end > limit:
                yield from self._release_all()
            else:
                yield from self._accept_delay()

    def _measure_delay(self, start: float | None) -> float:
        if start is None:
            return self._pending[-1].delay if self._pending else 0.0
        return start - self._shift - self._position - self._pending_seconds

    def _find_smallest_delay(self) -> float:
        """The least difference of all that wait, which are all ahead or all behind."""
        return min((pending.delay for pending in self._pending), key=abs)

    def _accept_delay(self) -> Iterator[Any]:
        """Take the least difference for true, and give the first frames after it."""
        delay = self._find_smallest_delay()
        if delay > 0 and self._position + delay + self._pending_seconds <= self._longest:
            yield self._insert_silence(delay)
        elif -MAX_OVERLAP_SECONDS <= delay < 0:
            self._position += delay
            yield Overlap(-delay)
        else:
            self._shift += delay
        self._pending = deque(
            _PendingFrame(pending.frame, pending.delay - delay, pending.length)
            for pending in self._pending
        )
        yield from self._release_first()

    def _insert_silence(self, seconds: float) -> Silence:
        start, self._position = self._position, self._position + seconds
        self.silences.append((start, self._position))
        return Silence(self._position)

    def _release_first(self) -> Iterator[Any]:
        """All up to the last frame that is where its timestamp says."""
        punctual = [
            index
            for index, pending in enumerate(self._pending)
            if abs(pending.delay) <= TOLERANCE_SECONDS
        ]
        for _ in range(max(punctual) + 1):
            yield self._release_frame()

    def _release_all(self) -> Iterator[Any]:
        while self._pending:
            yield self._release_frame()

    def _release_frame(self) -> Any:
        pending = self._pending.popleft()
        self._pending_seconds -= pending.length
        self._position += pending.length
        return pending.frame
