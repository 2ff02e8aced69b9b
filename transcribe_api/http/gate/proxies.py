"""Detect requests through a proxy, and find the client behind trusted proxies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.settings import settings
from transcribe_api.http.gate.ip_addresses import parse_address

#: Headers that proxies and load balancers add to forwarded requests.
FORWARDING_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_CLUSTER_CLIENT_IP",
    "HTTP_X_ORIGINAL_HOST",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_CF_RAY",
    "HTTP_FASTLY_CLIENT_IP",
    "HTTP_FLY_CLIENT_IP",
    "HTTP_X_AMZN_TRACE_ID",
    "HTTP_X_ENVOY_EXTERNAL_ADDRESS",
)


def is_forwarded(environ: Mapping[str, Any]) -> bool:
    """Return whether a proxy marked this request as forwarded. Not every proxy does."""
    return any(name in environ for name in FORWARDING_HEADERS)


def find_client_address(environ: Mapping[str, Any]) -> str:
    """Return the client's address; empty for a Unix socket.

    It is the address of the connection, or the last untrusted one if trusted proxies forwarded it.
    """
    address = str(environ.get("REMOTE_ADDR") or "")
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    # From the end: entries before the first untrusted one may be forged.
    while forwarded and is_trusted(address):
        address, forwarded = _parse_forwarded(forwarded[-1]) or address, forwarded[:-1]
    return address


def is_trusted(address: str) -> bool:
    """Return whether this is the address of a proxy in TRUSTED_PROXIES."""
    return _is_in(address, settings().trusted_proxies)


def _is_in(address: str, networks: Iterable[Any]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parse_forwarded(text: str) -> str | None:
    """Parse an address of X-Forwarded-For, which may include a port."""
    text = text.strip()
    if text.count(":") == 1 or text.startswith("["):
        text = text.rpartition(":")[0] if not text.endswith("]") else text
    parsed = parse_address(text.strip("[]"))
    return None if parsed is None else str(parsed)
