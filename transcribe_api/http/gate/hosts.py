"""Which names the service answers to.

A page of another site can have its own name looked up anew, as the address of this machine (DNS
rebinding). Its browser then takes what we answer for the page's own. Only ``Host`` tells.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from core.config import web_origins
from core.errors import WrongHost
from core.settings import Settings, settings
from transcribe_api.http.gate.ip_addresses import is_loopback, parse_address


def refuse_other_hosts(environ: Mapping[str, Any]) -> None:
    """Raises `WrongHost` unless the request asks for a name of this service.

    Without a ``Host`` no browser is asking, so there is nothing to refuse.
    """
    header = environ.get("HTTP_HOST", "")
    host = web_origins.parse_host(header)
    if header and (host is None or not _is_allowed(host, settings())):
        raise WrongHost(
            "this service does not answer to the name in the Host header; its operator may add "
            "the name to ALLOWED_HOSTS, or set PUBLIC_URL"
        )


def _is_allowed(host: str, config: Settings) -> bool:
    if is_loopback(host) or (
        config.public_url and host == web_origins.parse_origin_host(config.public_url)
    ):
        return True
    if config.allowed_hosts:
        return any(_matches(host, pattern) for pattern in config.allowed_hosts)
    # No name leads to an address that is written out, so nobody can have it looked up anew.
    return parse_address(host) is not None or host == _read_host_name()


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("."):
        return host == pattern[1:] or host.endswith(pattern)
    return pattern == "*" or host == pattern.strip("[]")


@lru_cache(maxsize=1)
def _read_host_name() -> str:
    return socket.gethostname().lower()
