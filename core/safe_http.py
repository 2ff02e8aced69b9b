"""HTTP requests to addresses from callers: only to the public internet, despite DNS or redirects.

A name is resolved once per connection, every resulting address is checked, and the connection goes
to a checked address. So a name that resolves to another address a moment later has no effect.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from core.errors import InvalidInput
from core.settings import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Maximum number of characters of a URL.
MAX_URL_LENGTH = 2000
#: Redirects that are followed, where redirects are allowed.
MAX_REDIRECTS = 3
#: Seconds to connect, and to wait for the next bytes.
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
#: Addresses of one name that are tried.
_MAX_ADDRESSES = 4

# Networks that some version of Python's `ipaddress` calls public although they are not: network
# hardware, a cloud's internal services, and IPv6 addresses that contain another address.
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "198.18.0.0/15", "240.0.0.0/4"),
        *("168.63.129.16/32", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
#: All public IPv6 unicast addresses. Mapped and translated addresses lie outside.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")

# URLs may contain tokens, and these libraries log whole URLs.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class AddressRefused(InvalidInput):
    """An address to which no request is sent."""

    code = "address_refused"


def check_url(url: str, field: str, *, max_length: int = MAX_URL_LENGTH) -> None:
    """Raise `InvalidInput` unless requests to this URL are allowed. Sends no request."""
    if len(url) > max_length:
        raise InvalidInput(f"{field}: more than {max_length} characters", field=field)
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise InvalidInput(f"{field}: not a valid URL", field=field) from None
    _check_url_form(parsed, field)
    try:
        _resolve_host(parsed.raw_host.decode("ascii"), parsed.port or 0, field)
    except OSError:
        raise InvalidInput(f"{field}: the host {parsed.host!r} is unknown", field=field) from None


@contextmanager
def send_request(
    method: str,
    url: str,
    *,
    field: str,
    seconds: float,
    redirects: int = 0,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> Iterator[httpx2.Response]:
    """Yield the response to a request. Read its body with `iter_raw` only.

    *seconds*: limit for everything until the block ends. Raises `AddressRefused` and
    `httpx2.HTTPError`.
    """
    with httpx2.Client(
        transport=_Transport(field, time.monotonic() + seconds),
        trust_env=False,
        timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        headers={"User-Agent": "Chordscribe", "Accept-Encoding": "identity"},
    ) as client:
        request = client.build_request(method, url, headers=headers, content=content)
        for _ in range(redirects + 1):
            _check_url_form(request.url, field)
            # Redirects are followed here because the library would read the whole body of a
            # redirect.
            response = client.send(request, stream=True)
            if redirects == 0 or response.next_request is None:
                break
            response.close()
            request = response.next_request
        else:
            raise httpx2.TooManyRedirects(f"more than {redirects} redirects", request=request)
        try:
            yield response
        finally:
            response.close()


def redact_url(url: str) -> str:
    """Return a URL for logs, without the parts that may contain secrets."""
    return str(httpx2.URL(url).copy_with(query=None, fragment=None, userinfo=b""))


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if any(address in network for network in _PRIVATE_NETWORKS):
        return False
    return address.is_global and not address.is_multicast


def _check_url_form(url: httpx2.URL, field: str) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressRefused(
            f"{field}: only http:// and https:// addresses are allowed", field=field
        )
    if not 0 < (url.port or 1) < 2**16:
        raise AddressRefused(f"{field}: {url.port} is not a valid port", field=field)
    if url.userinfo:
        raise AddressRefused(f"{field}: credentials in a URL are not allowed", field=field)


def _resolve_host(host: str, port: int, field: str) -> list[str]:
    """Return the addresses of a host.

    Raises `AddressRefused`, and `OSError` for an unknown host.
    """
    try:
        address_infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (UnicodeError, OverflowError) as error:  # an impossible label or number
        raise OSError(str(error)) from error
    addresses = list(dict.fromkeys(str(address_info[4][0]) for address_info in address_infos))
    if not all(_is_allowed(ipaddress.ip_address(address)) for address in addresses):
        # One bad address is enough. It is not reported: it may be a secret of this network.
        raise AddressRefused(
            f"{field}: the host {host!r} is not on the public internet", field=field
        )
    return addresses


def _is_allowed(address: Address) -> bool:
    return is_public(address) or any(address in network for network in settings().outgoing_allow)


class _Transport(httpx2.HTTPTransport):
    """HTTP over the connections of a `_GuardedBackend`."""

    def __init__(self, field: str, deadline: float) -> None:
        context = httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=context)
        # If the library did not use this pool, the guard would have no effect.
        assert isinstance(self._pool, httpcore2.ConnectionPool)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context, network_backend=_GuardedBackend(field, deadline)
        )


class _GuardedBackend(httpcore2.SyncBackend):
    """Connects only to addresses that it has checked itself."""

    def __init__(self, field: str, deadline: float) -> None:
        self._field = field
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            addresses = _resolve_host(host, port, self._field)
        except OSError as error:
            raise httpcore2.ConnectError(f"the host {host!r} is unknown") from error
        failure: Exception = httpcore2.ConnectError("the host has no address")
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                stream = super().connect_tcp(
                    address,
                    port,
                    _remaining_seconds(self._deadline, timeout),
                    local_address,
                    socket_options,
                )
                return _DeadlineStream(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        raise AddressRefused(f"{self._field}: Unix sockets are not allowed", field=self._field)


class _DeadlineStream(httpcore2.NetworkStream):
    """A connection that ends at a deadline, even if the peer keeps sending single bytes."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining_seconds(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining_seconds(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        remaining = _remaining_seconds(self._deadline, timeout)
        return _DeadlineStream(
            self._stream.start_tls(ssl_context, server_hostname, remaining), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _remaining_seconds(deadline: float, timeout: float | None) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise httpcore2.ReadTimeout("the request timed out")
    return remaining if timeout is None else min(remaining, timeout)
