"""What the next calls meet, in the order it was given: failures, delays, oversized answers."""

from __future__ import annotations

import os
import queue
import time
from dataclasses import dataclass

import grpc


@dataclass(frozen=True, slots=True)
class ScriptEvent:
    """One line of the script, read."""

    kind: str
    #: Of a status, its details.
    text: str = ""
    #: Seconds of a delay, MiB of an answer.
    amount: float = 0.0


class Script:
    """A queue of events, one for each recognition."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[ScriptEvent] = queue.SimpleQueue()

    def add(self, line: str) -> None:
        """Raises `ValueError` when the line means nothing."""
        self._events.put(_parse_event(line.strip()))

    def apply_next(self, context: grpc.ServicerContext) -> int:
        """Let the next event happen to this call; returns the bytes to add to its answer."""
        try:
            event = self._events.get_nowait()
        except queue.Empty:
            return 0
        match event.kind:
            case "die":
                os._exit(1)
            case "slow":
                _wait(context, event.amount)
            case "large":
                return int(event.amount * (1 << 20))
            case "ok":
                pass
            case status:
                context.abort(grpc.StatusCode[status], event.text)
        return 0


def _parse_event(line: str) -> ScriptEvent:
    kind, _, rest = line.partition(":")
    if kind in grpc.StatusCode.__members__:
        return ScriptEvent(kind, text=rest)
    if kind in ("die", "ok") and not rest:
        return ScriptEvent(kind)
    if kind in ("slow", "large"):
        return ScriptEvent(kind, amount=float(rest))
    raise ValueError(f"{line!r} is no event; see --help")


def _wait(context: grpc.ServicerContext, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and context.is_active():
        time.sleep(0.01)
