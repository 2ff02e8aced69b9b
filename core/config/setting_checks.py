"""Checks of single settings; each raises `ValueError` with the allowed values."""

from __future__ import annotations

import re

_GRPC_TARGET = re.compile(r":\d+$|^unix:")


def check_basic_auth(value: str | None) -> str | None:
    """Check user and password for HTTP basic authentication."""
    if value is not None and not re.fullmatch(r"[^:,\s]+:[^,\s]+", value):
        raise ValueError("must be user:password, without spaces and commas")
    return value


def check_source_prefix(value: str) -> str:
    """Check that a folder of the object storage is not one of ours."""
    parts = value.removesuffix("/").split("/")
    if not value.endswith("/") or not {"", ".", ".."}.isdisjoint(parts) or parts[0] == "jobs":
        raise ValueError("must be a folder such as incoming/, but not jobs/")
    return value


def check_grpc_target(value: str | None) -> str | None:
    """Check a gRPC address."""
    if value is None:
        return None
    if value.startswith(("http://", "https://", "grpc://")) or not _GRPC_TARGET.search(value):
        raise ValueError("must be host:port, without http://")
    return value


def check_web_address(value: str | None) -> str | None:
    """Check an origin for links to objects; ``none`` disables such links."""
    if value not in (None, "none") and not re.fullmatch(r"https?://[^/\s]+/?", value):
        raise ValueError("must be http://host:port, https://host:port or none")
    return value


def check_service_address(value: str | None) -> str | None:
    """Check a base address without a password, since callers can see it."""
    if value is not None and not re.fullmatch(r"https?://[^/\s?#@]+[^\s?#@]*", value):
        raise ValueError("must be http(s)://host:port; set a key with WHISPERX_SERVICE_KEY")
    return value


def check_service_key(value: str | None) -> str | None:
    """Check that a key is valid in an HTTP header."""
    if value is not None and not re.fullmatch(r"[!-~]+", value):
        raise ValueError("must be a key of printable ASCII without spaces")
    return value
