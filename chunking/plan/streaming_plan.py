"""Determine the final windows of a recording before all of it is decoded."""

from __future__ import annotations

from collections.abc import Sequence

from chunking.decode.decoder import BYTES_PER_SECOND
from chunking.plan.planner import Planner, PlanSettings, Window
from chunking.vad.detector import Detector
from chunking.vad.speech import FRAME_SECONDS

#: Least seconds of audio between two checks, and least share of new audio in the unsettled audio:
#: music without a pause would otherwise be analysed from its beginning each time.
LOOK_INTERVAL_SECONDS = 60.0
MIN_NEW_SHARE = 0.5


class StreamingPlan:
    """Checks regularly what speech a detector has found so far.

    Nothing is final while the recording may turn out to be quiet, since quiet recordings are
    analysed again with gain. *max_seconds* is the longest possible length. One percent of that must
    be loud first: a quarter of an hour if recordings may last a day.
    """

    def __init__(self, detector: Detector, settings: PlanSettings, max_seconds: float) -> None:
        self._detector = detector
        self._planner = Planner(settings)
        self._max_seconds = max_seconds
        self._chunk_duration = settings.chunk_duration
        self._received_seconds = 0.0
        self._next_look_seconds = LOOK_INTERVAL_SECONDS
        #: Frame up to which the speech is final.
        self._settled_frame = 0

    def plan_windows(self, size: int) -> Sequence[Window]:
        """Return the windows that have become final after another *size* bytes of PCM."""
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
        # A recording that is no longer than one window is planned differently.
        return self._planner.pop_settled() if self._received_seconds > self._chunk_duration else ()
