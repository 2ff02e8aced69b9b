"""IP addresses in the notation of connections and headers."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> Address | None:
    """Parse an address; None for any other text. An IPv4-mapped IPv6 address becomes IPv4."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def is_loopback(host: str) -> bool:
    """Return whether a name or address means this machine on every machine."""
    parsed = parse_address(host)
    return host == "localhost" or (parsed is not None and parsed.is_loopback)
