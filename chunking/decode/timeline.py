"""Place audio frames in time by their timestamps.

A container may leave audio out: it begins later than the video, packets were lost or cannot be
decoded, or pauses were not sent. Later audio must not move forward, so silence replaces what is
missing. Timestamps may also be wrong: they jitter by some milliseconds, jump back, or claim days. A
timestamp that differs from the sample count is accepted only if no timestamp within the next second
agrees with the count again. Only the decoder imports this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Accepted difference of a timestamp from the sample count (seconds); containers round to
#: milliseconds.
TOLERANCE_SECONDS = 0.015
#: Seconds of audio for which a difference must last before it is accepted.
PROOF_SECONDS = 1.0
#: Longest repetition of audio (seconds); a larger step back is a jump of the clock.
MAX_OVERLAP_SECONDS = 1.0
#: Longest silence accepted at the end of a file (seconds), where no further second can confirm it.
MAX_END_SILENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Silence:
    """The recording has no audio from the current position up to *until* (seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """The first *seconds* of the next frames repeat earlier audio."""

    seconds: float


@dataclass(frozen=True, slots=True)
class _PendingFrame:
    frame: Any
    #: Seconds by which its timestamp is later than the sample count.
    delay: float
    length: float


class Timeline:
    """Takes frames in order, and returns them with silences and overlaps between them."""

    def __init__(self, origin: float, longest: float, lead: float = 0.0) -> None:
        """Start at *origin*, the timestamp of the container's start; all values are seconds.

        *longest*: maximum length of the recording. *lead*: greatest delay at which the first frame
        still counts as the beginning.
        """
        self._shift = origin
        self._lead = lead
        self._longest = longest
        #: Seconds up to which everything was returned.
        self._position = 0.0
        #: Frames whose timestamps are not accepted yet, and their seconds of audio.
        self._pending: deque[_PendingFrame] = deque()
        self._pending_seconds = 0.0
        #: Start and end of the silences inserted for missing audio.
        self.silences: list[tuple[float, float]] = []

    def add(self, frame: Any, start: float | None, length: float) -> Iterator[Any]:
        """Yield what is certain now: frames, `Silence` and `Overlap`, in order.

        *start*: the timestamp, or None for a frame that follows directly; *length* of the frame
        (both in seconds).
        """
        if start is not None and self._lead:
            if 0 < start - self._shift <= self._lead:
                self._shift = start
            self._lead = 0.0
        delay = self._measure_delay(start)
        if self._pending and delay * self._pending[0].delay <= 0 and abs(delay) > TOLERANCE_SECONDS:
            yield from self._release_all()  # first early, then late: reject both
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
        """Yield the rest. *declared*: seconds of the whole recording, if known."""
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
        """Return the smallest difference of the pending frames, which are all early or all late."""
        return min((pending.delay for pending in self._pending), key=abs)

    def _accept_delay(self) -> Iterator[Any]:
        """Accept the smallest difference, and yield the first frames after it."""
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
        """Yield all frames up to the last one that is at its timestamp."""
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
