"""Requests to addresses that callers name: only to the public internet, whatever DNS or a redirect
says.

A name is looked up once for each connection, everything it stands for is looked at, and the
connection goes to the very address that was found good. So a name that means something else a
moment later leads nowhere else.
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

#: Characters of a URL.
MAX_URL_LENGTH = 2000
#: Redirects that are followed where any are.
MAX_REDIRECTS = 3
#: Seconds to connect, and to wait for the next bytes.
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
#: Addresses of one name that are tried.
_MAX_ADDRESSES = 4

# What `ipaddress` takes for public, in this version of Python or another, and what is not: network
# hardware, a cloud's own services, and IPv6 that carries another address inside it.
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "198.18.0.0/15", "240.0.0.0/4"),
        *("168.63.129.16/32", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
#: All IPv6 that is given out for use in public. What is mapped or translated lies outside.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")

# URLs may carry tokens, and these libraries log whole ones.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class AddressRefused(InvalidInput):
    """An address that no request is made to."""

    code = "address_refused"


def check_url(url: str, field: str, *, max_length: int = MAX_URL_LENGTH) -> None:
    """Raise `InvalidInput` unless requests to this URL may be made. Makes none."""
    if len(url) > max_length:
        raise InvalidInput(f"{field}: more than {max_length} characters", field=field)
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise InvalidInput(f"{field}: this is no URL", field=field) from None
    _check_url_form(parsed, field)
    try:
        _resolve_host(parsed.raw_host.decode("ascii"), parsed.port or 0, field)
    except OSError:
        raise InvalidInput(f"{field}: the host {parsed.host!r} is not known", field=field) from None


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
    """The answer to a request; its body is still to be read, and read only by `iter_raw`.

    *seconds* are for everything until the block ends. Raises `AddressRefused`, and
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
            # Not the library's own way to follow: that reads what comes with a redirect to its end.
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
    """A URL as it may be logged: without what may be a secret in it."""
    return str(httpx2.URL(url).copy_with(query=None, fragment=None, userinfo=b""))


def is_public(address: Address) -> bool:
    """Whether an address is somebody's on the public internet."""
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
        raise AddressRefused(f"{field}: there is no port {url.port}", field=field)
    if url.userinfo:
        raise AddressRefused(
            f"{field}: a name and a password in a URL are not allowed", field=field
        )


def _resolve_host(host: str, port: int, field: str) -> list[str]:
    """What a host stands for. Raises `AddressRefused`, and `OSError` when nobody knows it."""
    try:
        address_infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (UnicodeError, OverflowError) as error:  # a label or a number that cannot be
        raise OSError(str(error)) from error
    addresses = list(dict.fromkeys(str(address_info[4][0]) for address_info in address_infos))
    if not all(_is_allowed(ipaddress.ip_address(address)) for address in addresses):
        # One bad address is enough. Which one is not told: it may be a secret of this network.
        raise AddressRefused(
            f"{field}: the host {host!r} is not on the public internet", field=field
        )
    return addresses


def _is_allowed(address: Address) -> bool:
    return is_public(address) or any(address in network for network in settings().outgoing_allow)


class _Transport(httpx2.HTTPTransport):
    """HTTP over connections that a `_GuardedBackend` makes."""

    def __init__(self, field: str, deadline: float) -> None:
        context = httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=context)
        # If this were not the pool in use, the guard would guard nothing.
        assert isinstance(self._pool, httpcore2.ConnectionPool)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context, network_backend=_GuardedBackend(field, deadline)
        )


class _GuardedBackend(httpcore2.SyncBackend):
    """Connects to nothing but addresses that it has looked at itself."""

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
            raise httpcore2.ConnectError(f"the host {host!r} is not known") from error
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
    """A connection that is over at a deadline, also for who sends a byte now and then."""

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
        raise httpcore2.ReadTimeout("the time for this request is over")
    return remaining if timeout is None else min(remaining, timeout)
