"""Host names for which the service answers.

A page of another site can make its own name resolve to this machine (DNS rebinding). The browser
then treats our responses as those of that site. Only the ``Host`` header reveals this.
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
    """Raise `WrongHost` unless the request is for a host name of this service.

    A request without ``Host`` is not from a browser and is accepted.
    """
    header = environ.get("HTTP_HOST", "")
    host = web_origins.parse_host(header)
    if header and (host is None or not _is_allowed(host, settings())):
        raise WrongHost(
            "this service does not accept the name in the Host header; its operator can add "
            "the name to ALLOWED_HOSTS, or set PUBLIC_URL"
        )


def _is_allowed(host: str, config: Settings) -> bool:
    if is_loopback(host) or (
        config.public_url and host == web_origins.parse_origin_host(config.public_url)
    ):
        return True
    if config.allowed_hosts:
        return any(_matches(host, pattern) for pattern in config.allowed_hosts)
    # Literal addresses cannot be rebound, since they are not resolved.
    return parse_address(host) is not None or host == _read_host_name()


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("."):
        return host == pattern[1:] or host.endswith(pattern)
    return pattern == "*" or host == pattern.strip("[]")


@lru_cache(maxsize=1)
def _read_host_name() -> str:
    return socket.gethostname().lower()
