"""Which windows of a recording are certain before all of it was heard."""

from __future__ import annotations

from collections.abc import Sequence

from chunking.decode import BYTES_PER_SECOND
from chunking.plan import Planner, PlanSettings, Window
from chunking.speech import FRAME
from chunking.vad import Detector

#: Seconds of sound between two looks, and the share of what is not settled yet that must have come
#: in anew: music without a pause would be looked through from its beginning each time.
EVERY = 60.0
EVERY_SHARE = 0.5


class Foresight:
    """Looks, now and then, what a detector has heard so far.

    Nothing is certain while the recording may still turn out to be a quiet one, which is heard
    again with gain. *most_seconds*: longer than this it cannot be. A hundredth of that must have
    been loud before, which is a quarter of an hour where recordings may last a day.
    """

    def __init__(self, detector: Detector, settings: PlanSettings, most_seconds: float) -> None:
        self._detector = detector
        self._planner = Planner(settings)
        self._most_seconds = most_seconds
        self._shortest = settings.chunk_duration
        self._heard = 0.0
        self._next = EVERY
        #: Frame up to which the speech is settled.
        self._since = 0

    def look(self, size: int) -> Sequence[Window]:
        """Return the windows that are certain now and were not before, *size* bytes later."""
        self._heard += size / BYTES_PER_SECOND
        if self._heard < self._next or not self._detector.is_loud(self._most_seconds):
            return ()
        speech, self._since = self._detector.settled(self._since)
        self._planner.feed(speech)
        unsettled = self._heard - self._since * FRAME
        self._next = self._heard + max(EVERY, EVERY_SHARE * unsettled)
        # A recording that is no longer than one window is planned otherwise.
        return self._planner.settled() if self._heard > self._shortest else ()
