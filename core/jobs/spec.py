"""The options of a request, as a value that is stored with the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.states import Channels, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A valid request: `transcribe_api.http.requests.parsing` creates it, the steps read it."""

    engine: str
    #: None: no diarization.
    diarizer: str | None
    language: str | None = None
    model: str | None = None
    #: Text for engines that accept a prompt before the audio.
    initial_prompt: str | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    channels: Channels = Channels.MIX
    #: Number of an audio track, counted from 1, its language, or `ALL_TRACKS`; None: the default.
    track: str | None = None
    #: The diarizer of a job with `Channels.SEPARATE` whose channels turn out to be alike.
    mix_diarizer: str | None = None
    priority: Priority = Priority.NORMAL
    session_id: str | None = None
    context_id: str | None = None
    #: Receives a webhook when the job ends.
    callback_url: str | None = None
    #: Address of the recording; deleted after the download.
    source_url: str | None = None
    #: Folder on the machine that runs the merge; the artefacts are written there.
    output_dir: str | None = None

    def as_mix(self) -> JobSpec:
        """Return the request for a recording whose channels carry one signal."""
        return replace(self, channels=Channels.MIX, diarizer=self.mix_diarizer, mix_diarizer=None)

    def as_dict(self) -> dict[str, Any]:
        """Return the value for `transcript_jobs.engine_params`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobSpec:
        """Read the result of `as_dict`, also if a later version added fields."""
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in data.items() if name in names}
        for name, kind in (("priority", Priority), ("channels", Channels)):
            if name in values:
                values[name] = kind(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiarizationOptions:
    """New options for another diarization of a job; None: unchanged."""

    diarizer: str | None = None
    #: This diarizer needs a longer recording cut into shards.
    shard_seconds: float | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None

    def apply_to(self, spec: JobSpec) -> JobSpec:
        """Return *spec* with these options. If one speaker number is given, both are replaced."""
        if self.diarizer:
            spec = replace(spec, diarizer=self.diarizer)
        if self.min_speakers or self.max_speakers:
            spec = replace(spec, min_speakers=self.min_speakers, max_speakers=self.max_speakers)
        return spec
