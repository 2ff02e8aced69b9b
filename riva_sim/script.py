"""Scripted events of the next calls, in order: failures, delays, oversized responses."""

from __future__ import annotations

import os
import queue
import time
from dataclasses import dataclass

import grpc


@dataclass(frozen=True, slots=True)
class ScriptEvent:
    """One line of the script, parsed."""

    kind: str
    #: Details of a status.
    text: str = ""
    #: Seconds of a delay, MiB of a response.
    amount: float = 0.0


class Script:
    """A queue of events, one for each recognition."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[ScriptEvent] = queue.SimpleQueue()

    def add(self, line: str) -> None:
        """Add the event of a line. Raises `ValueError` if it is unknown."""
        self._events.put(_parse_event(line.strip()))

    def apply_next(self, context: grpc.ServicerContext) -> int:
        """Apply the next event to this call; return the bytes to add to its response."""
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
    raise ValueError(f"{line!r} is not an event; see --help")


def _wait(context: grpc.ServicerContext, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and context.is_active():
        time.sleep(0.01)
