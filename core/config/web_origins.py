"""Origins and host names in headers of browsers and in settings."""

from __future__ import annotations

import re

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?P<port>:\d{1,5})?/?"
)
_HOST_HEADER = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?P<port>:\d{1,5})?")
_ALLOWED_HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[?[0-9A-Fa-f:.]+\]?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def normalize_origin(text: str) -> str:
    """Return an origin in lower case, without the default port of its scheme.

    Raises `ValueError`.
    """
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise ValueError("must be http://host:port or https://host:port, without a path")
    port = (match["port"] or "").removesuffix(_DEFAULT_PORTS[match["scheme"]])
    return f"{match['scheme']}://{match['host']}{port}"


def check_host_pattern(text: str) -> str:
    """Return a name for ALLOWED_HOSTS in lower case. Raises `ValueError`."""
    if not _ALLOWED_HOST.fullmatch(text):
        raise ValueError("must be names without scheme and port, .example.com, or *")
    return text.lower()


def parse_host(header: str) -> str | None:
    """Return the name or address in a ``Host`` header, without its port; None if invalid."""
    match = _HOST_HEADER.fullmatch(header)
    return match["host"].lower().removesuffix(".").strip("[]") if match else None


def parse_origin_host(origin: str) -> str:
    """Return the name or address of a normalized origin."""
    return parse_host(origin.partition("://")[2]) or ""
