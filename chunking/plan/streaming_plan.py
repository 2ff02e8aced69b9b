"""Which windows of a recording are certain before all of it was heard."""

from __future__ import annotations

from collections.abc import Sequence

from chunking.decode.decoder import BYTES_PER_SECOND
from chunking.plan.planner import Planner, PlanSettings, Window
from chunking.vad.detector import Detector
from chunking.vad.speech import FRAME_SECONDS

#: Seconds of sound between two looks, and the share of what is not settled yet that must have come
#: in anew: music without a pause would be looked through from its beginning each time.
LOOK_INTERVAL_SECONDS = 60.0
MIN_NEW_SHARE = 0.5


class StreamingPlan:
    """Looks, now and then, what a detector has heard so far.

    Nothing is certain while the recording may still turn out to be a quiet one, which is heard
    again with gain. *max_seconds*: longer than this it cannot be. A hundredth of that must have
    been loud before, which is a quarter of an hour where recordings may last a day.
    """

    def __init__(self, detector: Detector, settings: PlanSettings, max_seconds: float) -> None:
        self._detector = detector
        self._planner = Planner(settings)
        self._max_seconds = max_seconds
        self._chunk_duration = settings.chunk_duration
        self._received_seconds = 0.0
        self._next_look_seconds = LOOK_INTERVAL_SECONDS
        #: Frame up to which the speech is settled.
        self._settled_frame = 0

    def plan_windows(self, size: int) -> Sequence[Window]:
        """Return the windows that are certain now and were not before, *size* bytes later."""
        self._received_seconds += size / BYTES_PER_SECOND
        if self._received_seconds < self._next_look_seconds or not self._detector.is_loud(
            self._max_seconds
        ):
            return ()
        speech, self._settled_frame = self._detector.find_settled_speech(self._settled_frame)
        self._planner.feed(speech)
        unsettled = self._received_seconds - self._settled_frame * FRAME_SECONDS
        self._next_look_seconds = self._received_seconds + max(
            LOOK_INTERVAL_SECONDS, MIN_NEW_SHARE * unsettled
        )
        # A recording that is no longer than one window is planned otherwise.
        return self._planner.pop_settled() if self._received_seconds > self._chunk_duration else ()
