"""Resource limits of a machine in a JSON file, instead of in environment variables.

The file: {"max_memory_gb": 12, "max_concurrent_jobs": 2, "memory_alert_at": 0.85}
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import SettingsError


class ResourceConfig(BaseModel):
    """The resources that the service may use on a machine; None: the value of the setting."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    #: GiB that the loaded models may take.
    max_memory_gb: float | None = Field(default=None, gt=0)
    #: Number of jobs that are processed at a time; 0: unlimited.
    max_concurrent_jobs: int | None = Field(default=None, ge=0)
    #: Share of the memory at which an alert begins.
    memory_alert_at: float | None = Field(default=None, gt=0, le=1)

    def to_environment(self) -> dict[str, str]:
        """Return these values as environment variables of the service."""
        values = self.model_dump(exclude_none=True)
        return {name.upper(): str(value) for name, value in values.items()}


def read_config(path: Path) -> ResourceConfig:
    """Read a JSON file. Raises `SettingsError` that names the invalid and the allowed fields."""
    try:
        return ResourceConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: {_describe_errors(error)}") from None


def _describe_errors(error: ValidationError) -> str:
    unknown = f"is unknown; allowed fields: {', '.join(ResourceConfig.model_fields)}"
    problems = []
    for detail in error.errors(include_url=False):
        field = ".".join(map(str, detail["loc"]))
        reason = unknown if detail["type"] == "extra_forbidden" else detail["msg"]
        problems.append(f"{field}: {reason}" if field else reason)
    return "; ".join(problems)
