"""Addresses of the internet protocol, as connections and headers write them."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> Address | None:
    """The address that a text is; None for any other. One of IPv4 inside IPv6 is one of IPv4."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine alone, wherever it is looked up."""
    parsed = parse_address(host)
    return host == "localhost" or (parsed is not None and parsed.is_loopback)
