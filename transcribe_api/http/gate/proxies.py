"""Whether a request came through a proxy, and who sent it to one that is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.settings import settings
from transcribe_api.http.gate.ip_addresses import parse_address

#: What proxies, balancers and the networks before them say of the request that they pass on.
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
    """Whether a proxy says that it passed this request on. Not every proxy says so."""
    return any(name in environ for name in FORWARDING_HEADERS)


def find_client_address(environ: Mapping[str, Any]) -> str:
    """The address of whoever sent the request: as the connection says, or the last of the trusted
    proxies on its way; empty for a Unix socket.
    """
    address = str(environ.get("REMOTE_ADDR") or "")
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    # From the end: what stands before the first that is not trusted may be made up.
    while forwarded and is_trusted(address):
        address, forwarded = _parse_forwarded(forwarded[-1]) or address, forwarded[:-1]
    return address


def is_trusted(address: str) -> bool:
    """Whether this is the address of a proxy of TRUSTED_PROXIES."""
    return _is_in(address, settings().trusted_proxies)


def _is_in(address: str, networks: Iterable[Any]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parse_forwarded(text: str) -> str | None:
    """An address of X-Forwarded-For, which some proxies write with its port."""
    text = text.strip()
    if text.count(":") == 1 or text.startswith("["):
        text = text.rpartition(":")[0] if not text.endswith("]") else text
    parsed = parse_address(text.strip("[]"))
    return None if parsed is None else str(parsed)
