"""No request that a caller asks for leads into our own network."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time

import httpx2
import pytest

from core import safe_http
from core.errors import InvalidInput
from core.safe_http import AddressRefused
from core.settings import settings
from tests.receiver import Receiver, listening, reply

LOOPBACK = "127.0.0.0/8"


@pytest.fixture
def private():
    """A server that nobody may reach, and that notices every connection."""
    with listening() as receiver:
        yield receiver


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch):
    """The operator allows the loopback, so that a test can have a server of its own there."""
    monkeypatch.setenv("OUTGOING_ALLOW", LOOPBACK)
    settings.cache_clear()


def get(url: str, *, redirects: int = safe_http.MAX_REDIRECTS, seconds: float = 10.0) -> bytes:
    with safe_http.send_request(
        "GET", url, field="source_url", seconds=seconds, redirects=redirects
    ) as answer:
        answer.raise_for_status()
        return b"".join(answer.iter_raw())


class Resolver:
    """A resolver of names that we make up; everything else is looked up as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._names: dict[str, list[list[str]]] = {}
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def add(self, name: str, *answers: list[str]) -> None:
        """A name, with an answer for each time that it is asked; the last one stays."""
        self._names[name] = list(answers)

    def _look_up(self, host, port, *args, **options):
        answers = self._names.get(host)
        if answers is None:
            return self._real(host, port, *args, **options)
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (one, port),
            )
            for one in now
        ]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001"),
        *(
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "0.0.0.0",
            "0",
            "localhost",
            "localhost.",
            "LOCALHOST",
        ),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[::ffff:0:127.0.0.1]", "①②⑦.⓪.⓪.①"),
    ],
)
def test_no_way_of_writing_the_loopback_leads_there(private: Receiver, host: str):
    url = f"http://{host}:{private.port}/"
    with pytest.raises(InvalidInput) as caught:
        safe_http.check_url(url, "callback_url")
    assert caught.value.field == "callback_url"
    assert str(caught.value).startswith("callback_url: ")
    with pytest.raises((InvalidInput, httpx2.HTTPError, httpx2.InvalidURL)):
        get(url)
    assert private.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
        ),
        *("192.0.0.192", "198.18.0.1", "192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *(
            "168.63.129.16",
            "203.0.113.1",
            "0.1.2.3",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
        ),
        *("ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "64:ff9b::808:808", "::8.8.8.8"),
        *("64:ff9b:1::1", "::ffff:8.8.8.8", "100::1", "3fff::1", "5f00::1", "2001:20::1"),
    ],
)
def test_what_is_not_public_is_refused(address: str):
    assert not safe_http.is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressRefused):
        safe_http.check_url(f"https://{host}/hook", "callback_url")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_what_is_public_is_not(address: str):
    assert safe_http.is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    safe_http.check_url(f"https://{host}:8443/hook?token=1", "callback_url")


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "gopher://8.8.8.8/", "ftp://8.8.8.8/a", "unix:///run/redis.sock"),
        *("http+unix://%2Frun%2Fredis.sock/", "data:,x", "//8.8.8.8/", "8.8.8.8/a", "hook", ""),
        *(
            "http://",
            "http:///x",
            "http:8.8.8.8",
            "http://user:pw@8.8.8.8/",
            "http://user@8.8.8.8/",
        ),
        *("http://8.8.8.8\\@127.0.0.1/", "http://8.8.8.8:99999/", "http://8.8.8.8:x/"),
        *("http://[::1/", "http://a\tb/", "http://a b/", "http://a..b/", "http://nobody.invalid/"),
        *("http://" + "a" * 64 + ".com/", "https://8.8.8.8/" + "a" * 2000),
    ],
)
def test_what_is_no_address_to_send_to_is_refused_in_a_sentence(url: str):
    with pytest.raises(InvalidInput) as caught:
        safe_http.check_url(url, "callback_url")
    assert caught.value.field == "callback_url"
    assert "pw" not in str(caught.value)


def test_one_bad_address_of_a_name_is_enough(private: Receiver, resolver: Resolver):
    resolver.add("mixed.example", ["8.8.8.8", "127.0.0.1"])
    url = f"http://mixed.example:{private.port}/"
    with pytest.raises(AddressRefused):
        safe_http.check_url(url, "source_url")
    with pytest.raises(AddressRefused):
        get(url)
    assert private.connections == 0


def test_a_name_that_means_something_else_a_moment_later(private: Receiver, resolver: Resolver):
    resolver.add("rebind.example", ["8.8.8.8"], ["127.0.0.1"])
    url = f"http://rebind.example:{private.port}/"
    safe_http.check_url(url, "source_url")
    with pytest.raises(AddressRefused):
        get(url)
    assert private.connections == 0


def test_a_name_is_looked_up_once_for_a_connection(allowed, resolver: Resolver):
    """The address that was looked at is the one that is connected to."""
    with listening() as ours, listening() as other:
        resolver.add("pinned.example", ["127.0.0.1"], ["127.0.0.2"])
        get(f"http://pinned.example:{ours.port}/a")
        assert [one.path for one in ours.requests] == ["/a"]
        assert ours.requests[0].headers["Host"] == f"pinned.example:{ours.port}"
        assert other.connections == 0


@pytest.mark.parametrize(
    "target",
    [
        *("http://127.0.0.2:{port}/", "http://[::1]:{port}/", "http://169.254.169.254/"),
        *("//127.0.0.2:{port}/", "http://user:pw@127.0.0.1:{ours}/", "file:///etc/passwd"),
        *("gopher://127.0.0.1:{ours}/", "http://[", "http://0x7f000002:{port}/"),
    ],
)
def test_a_redirect_leads_nowhere_that_the_first_address_could_not(
    private: Receiver, monkeypatch, target: str
):
    monkeypatch.setenv("OUTGOING_ALLOW", "127.0.0.1/32")
    settings.cache_clear()
    with listening() as ours:
        location = target.format(port=private.port, ours=ours.port)
        ours.answer = lambda handler, _: reply(handler, 302, Location=location)
        with pytest.raises((AddressRefused, httpx2.HTTPError)):
            get(ours.url)
        assert len(ours.requests) == 1
    assert private.connections == 0


def test_three_redirects_are_followed_and_no_more(allowed):
    def count_down(handler, request):
        left = int(request.path.strip("/"))
        if left:
            reply(handler, 302, b"x", Location=f"/{left - 1}")
        else:
            reply(handler, body=b"here")

    with listening(count_down) as ours:
        assert get(f"{ours.url}/3") == b"here"
        with pytest.raises(httpx2.TooManyRedirects):
            get(f"{ours.url}/4")


def test_redirects_are_only_followed_where_they_may_be(allowed, private: Receiver):
    with (
        listening(lambda handler, _: reply(handler, 302, Location=private.url)) as ours,
        safe_http.send_request("GET", ours.url, field="x", seconds=10) as answer,
    ):
        assert answer.status_code == 302
    assert private.connections == 0


def test_a_proxy_of_the_environment_is_passed_by(allowed, private: Receiver, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, private.url)
    with listening(lambda handler, _: reply(handler, body=b"direct")) as ours:
        assert get(ours.url) == b"direct"
    assert private.connections == 0


def test_what_an_operator_allows_is_allowed_and_nothing_beside_it(private: Receiver, monkeypatch):
    monkeypatch.setenv("OUTGOING_ALLOW", "127.0.0.2/32, fd00::/8")
    settings.cache_clear()
    safe_http.check_url("http://127.0.0.2/", "callback_url")
    safe_http.check_url("http://[fd00::1]/", "callback_url")
    for host in ("127.0.0.1", "[::ffff:127.0.0.2]", "10.0.0.1"):
        with pytest.raises(AddressRefused):
            safe_http.check_url(f"http://{host}:{private.port}/", "callback_url")


def test_who_sends_a_byte_now_and_then_does_not_hold_us(allowed):
    def drip(handler, _):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.1)

    with listening(drip) as ours, pytest.raises(httpx2.TimeoutException):
        get(ours.url, seconds=1.0)


def test_tls_is_spoken_with_the_name_and_not_with_the_address(allowed, resolver: Resolver):
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        port = server.getsockname()[1]
        resolver.add("secure.example", ["127.0.0.1"])

        def hear():
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(4096))

        thread = threading.Thread(target=hear)
        thread.start()
        with pytest.raises(httpx2.TransportError):
            get(f"https://secure.example:{port}/")
        thread.join()
    assert b"secure.example" in heard[0]


def test_unix_sockets_are_refused():
    with pytest.raises(AddressRefused):
        safe_http._GuardedBackend("x", time.monotonic() + 1).connect_unix_socket("/run/redis.sock")


def test_what_is_logged_of_a_url_has_no_secret_in_it(allowed, caplog: pytest.LogCaptureFixture):
    assert safe_http.redact_url("https://h.example/a/b?token=x#y") == "https://h.example/a/b"
    caplog.set_level("DEBUG")
    with listening() as ours:
        get(f"{ours.url}/a?token=secret")
    assert "secret" not in caplog.text
