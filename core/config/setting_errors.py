"""Error messages for invalid settings: the variables and the allowed values."""

from __future__ import annotations

from pydantic import ValidationError

#: Values of settings with these names are never shown; addresses may contain passwords.
_SECRET_MARKERS = (
    "KEY",
    "TOKEN",
    "BASIC_AUTH",
    "REDIS_URL",
    "BROKER_URL",
    "DATABASE_URL",
    "SERVICE_URL",
)


def describe_errors(error: ValidationError) -> str:
    """Return one sentence for all errors, without secrets."""
    problems = []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]).upper() if detail["loc"] else ""
        reason = detail["msg"].removeprefix("Value error, ")
        is_secret = any(marker in name for marker in _SECRET_MARKERS)
        value = "" if is_secret else f" (value: {detail['input']!r})"
        problems.append(f"{name}: {reason}{value}" if name else reason)
    return "invalid settings: " + "; ".join(problems)
