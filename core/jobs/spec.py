"""What a caller asked for, as a value that is stored with the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.states import Channels, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A valid request: `transcribe_api.http.requests.parsing` makes it, the steps read it."""

    engine: str
    #: None: the speakers are not asked for.
    diarizer: str | None
    language: str | None = None
    model: str | None = None
    #: What an engine that reads before it listens is to read.
    initial_prompt: str | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    channels: Channels = Channels.MIX
    priority: Priority = Priority.NORMAL
    session_id: str | None = None
    context_id: str | None = None
    #: Who is told when the job ends.
    callback_url: str | None = None
    #: Where the recording is fetched; forgotten when it is.
    source_url: str | None = None
    #: Folder of the machine that merges, where the artefacts are written.
    output_dir: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `transcript_jobs.engine_params`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobSpec:
        """Read what `as_dict` wrote, also when a later version added fields."""
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in data.items() if name in names}
        for name, kind in (("priority", Priority), ("channels", Channels)):
            if name in values:
                values[name] = kind(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiarizationOptions:
    """What is asked for anew when the speakers of a job are looked for again; None: as before."""

    diarizer: str | None = None
    #: A longer recording is cut into shards for that diarizer.
    shard_seconds: float | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None

    def apply_to(self, spec: JobSpec) -> JobSpec:
        """Who names either number of speakers replaces both."""
        if self.diarizer:
            spec = replace(spec, diarizer=self.diarizer)
        if self.min_speakers or self.max_speakers:
            spec = replace(spec, min_speakers=self.min_speakers, max_speakers=self.max_speakers)
        return spec
