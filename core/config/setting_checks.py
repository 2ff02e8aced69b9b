"""What is allowed in single settings; each check raises `ValueError` with a sentence."""

from __future__ import annotations

import re

_GRPC_TARGET = re.compile(r":\d+$|^unix:")


def check_basic_auth(value: str | None) -> str | None:
    """A user and a password for HTTP's basic authentication."""
    if value is not None and not re.fullmatch(r"[^:,\s]+:[^,\s]+", value):
        raise ValueError("allowed is user:password, without spaces and commas")
    return value


def check_source_prefix(value: str) -> str:
    """A folder of the object storage that is not one of ours."""
    parts = value.removesuffix("/").split("/")
    if not value.endswith("/") or not {"", ".", ".."}.isdisjoint(parts) or parts[0] == "jobs":
        raise ValueError("allowed is a folder such as incoming/, but not jobs/")
    return value


def check_grpc_target(value: str | None) -> str | None:
    """An address as gRPC takes it."""
    if value is None:
        return None
    if value.startswith(("http://", "https://", "grpc://")) or not _GRPC_TARGET.search(value):
        raise ValueError("allowed is host:port, without http://")
    return value


def check_web_address(value: str | None) -> str | None:
    """An origin for links to objects, or ``none`` for no such links."""
    if value not in (None, "none") and not re.fullmatch(r"https?://[^/\s]+/?", value):
        raise ValueError("allowed is http://host:port or https://host:port, or none")
    return value


def check_service_address(value: str | None) -> str | None:
    """A base address without a password, since callers are shown it."""
    if value is not None and not re.fullmatch(r"https?://[^/\s?#@]+[^\s?#@]*", value):
        raise ValueError("allowed is http(s)://host:port; a key goes to WHISPERX_SERVICE_KEY")
    return value


def check_service_key(value: str | None) -> str | None:
    """A key that fits into a header of HTTP."""
    if value is not None and not re.fullmatch(r"[!-~]+", value):
        raise ValueError("allowed is a key of printable ASCII without spaces")
    return value
