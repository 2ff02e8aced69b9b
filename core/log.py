"""Structured logs: JSON for machines, or columns for people. Secrets of the service are masked."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import structlog

from core.settings import Settings, settings

#: Length of the shortest secret that is masked: a shorter one is part of too many words.
_MIN_SECRET_LENGTH = 6
_MASK = "***"
#: API keys; their first part stays visible.
_KEY_PATTERN = re.compile(r"(tk_[0-9a-f]{10})_[A-Za-z0-9_-]{43}")


def configure_logging(*extra_processors: structlog.typing.Processor) -> None:
    """Configure the logs of this process, including the standard library's loggers.

    *extra_processors*: run on lines from libraries only, after the shared processors.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, *extra_processors],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _build_renderer(),
                partial(_mask_secrets, tuple(_list_secrets(settings()))),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings().log_level)
    logging.captureWarnings(True)


def _build_renderer() -> structlog.typing.Processor:
    if settings().log_format == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=False)


def _list_secrets(current_settings: Settings) -> Iterator[str]:
    """Yield the secrets in the settings: whole values, and passwords in addresses."""
    for name, field in Settings.model_fields.items():
        value = getattr(current_settings, name)
        if not isinstance(value, str):
            continue
        password = urlsplit(value).password if "://" in value else None
        secret = password if field.repr else value
        if secret and len(secret) >= _MIN_SECRET_LENGTH:
            yield from {secret, json.dumps(secret)[1:-1]}


def _mask_secrets(secrets: tuple[str, ...], _logger: object, _name: str, line: object) -> str:
    text = str(line)
    for secret in secrets:
        text = text.replace(secret, _MASK)
    return _KEY_PATTERN.sub(rf"\1_{_MASK}", text)
