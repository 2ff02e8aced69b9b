"""How recordings are cut unless a setting or a caller says otherwise."""

from __future__ import annotations

#: Preferred length of a chunk, for an engine that states none (seconds).
CHUNK_SECONDS = 30.0
#: Audio that two chunks share where the cut falls into speech (seconds).
OVERLAP_SECONDS = 5.0
#: A pause of this length is a good place to cut (seconds).
MIN_SILENCE_SECONDS = 0.5
#: Below this level (dBFS, RMS of a frame) there is no speech, except in quiet recordings.
SILENCE_THRESHOLD_DBFS = -40.0
#: 0..3: how readily webrtcvad takes a frame for noise.
VAD_AGGRESSIVENESS = 2
#: Preferred length of a shard; a diarizer separates speakers better in longer audio (seconds).
SHARD_SECONDS = 1500.0
