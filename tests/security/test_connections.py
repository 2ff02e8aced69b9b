"""Senders that take their time, or come too often, take nothing from others."""

from __future__ import annotations

import json
import re
import resource
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import psutil
import pytest

from core.settings import settings
from tests.factories.requests import UNFINISHED_REQUEST
from tests.integration.conftest import wait_until
from tests.security.conftest import JOBS, SESSIONS, Served, serving, sound
from transcribe_api.http.gate import descriptors
from transcribe_api.http.gate.connections import AddressCounter


@pytest.fixture(scope="module")
def hasty(serve) -> Served:
    """A service with short deadlines."""
    return serve(HEADER_SECONDS="1", BODY_SECONDS="1")


def answer_of(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer after which the connection ends."""
    said = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(one.split(": ", 1) for one in lines[1:]), body


def test_unfinished_headers_hold_no_thread(served: Served):
    """With 32 threads and 200 connections that never come to an end."""
    with ExitStack() as open_:
        for _ in range(200):
            open_.enter_context(served.connect()).sendall(UNFINISHED_REQUEST)
        with served.http() as http:
            for _ in range(20):
                assert http.get("/healthz").status_code == 200


def test_a_header_must_arrive_in_time(hasty: Served):
    with hasty.connect() as slow, hasty.connect() as silent:
        slow.sendall(UNFINISHED_REQUEST)
        status, headers, body = answer_of(slow)
        assert (status, json.loads(body)["code"]) == (408, "request_timeout")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert silent.recv(1) == b"", "who says nothing is told nothing"


def test_a_header_that_trickles_has_no_more_time(hasty: Served):
    with hasty.connect() as slow:
        slow.settimeout(0.2)
        said = b""
        for _ in range(50):
            try:
                slow.sendall(b"GET / HTTP/1.1\r\n" if not said else b"X: y\r\n")
                said = said or b"x"
                if slow.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it was waited for")


def test_the_second_request_of_a_connection_has_its_deadline_too(hasty: Served):
    with hasty.connect() as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + UNFINISHED_REQUEST)
        said = b"".join(iter(lambda: slow.recv(65_536), b""))
        assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200", b"408"]


def test_requests_one_after_the_other_are_all_answered(served: Served):
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with served.connect() as connection:
        connection.sendall(one * 5 + last[:20])
        connection.sendall(last[20:])
        said = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", said) == [b"200"] * 6


def test_empty_lines_are_no_header(hasty: Served):
    with hasty.connect() as slow:
        slow.sendall(b"\r\n\r\n\r\n\r\n")
        assert slow.recv(1) == b"", "it had as long as others, and no thread"
    with hasty.connect() as odd:
        odd.sendall(b"\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert answer_of(odd)[0] == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\n", 400),
        (b"GET\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    ],
    ids=lambda one: str(one)[:30],
)
def test_what_is_no_header_is_refused_at_once(served: Served, sent: bytes, status: int):
    with served.connect() as connection:
        connection.sendall(sent)
        assert answer_of(connection)[0] == status


def test_a_body_must_keep_coming(hasty: Served):
    head = (
        f"POST {SESSIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        'Content-Length: 1000\r\n\r\n{"name": '
    )
    with hasty.connect() as slow:
        slow.sendall(head.encode())
        status, headers, body = answer_of(slow)
    assert (status, json.loads(body)["code"]) == (408, "request_timeout")
    assert headers["Content-Type"] == "application/problem+json"


def test_an_upload_that_stands_still_leaves_nothing_behind(hasty: Served):
    head = (
        f"POST {JOBS}/transcribe HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    with hasty.connect() as slow:
        slow.sendall(head.encode() + b"x" * 100_000)
        assert answer_of(slow)[0] == 408
    wait_until(lambda: list((hasty.data_dir / "scratch").glob("upload-*")) == [])


def test_refused_bodies_that_go_on_hold_no_thread(served: Served):
    """They are refused before they are read; who then neither sends nor hangs up waits alone."""
    head = (
        f"POST {JOBS}/transcribe HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"
        "Content-Length: 1000000\r\n\r\nx"
    )
    with ExitStack() as open_:
        refused = [open_.enter_context(served.connect()) for _ in range(300)]
        for connection in refused:
            connection.sendall(head.encode())
        with served.http() as http:
            for _ in range(20):
                assert http.get("/healthz", timeout=5).status_code == 200
        assert {answer_of(connection)[0] for connection in refused} == {403}


def test_a_small_body_that_nobody_read_does_not_end_the_connection(served: Served):
    one = (
        f"POST {SESSIONS} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"
        "Content-Length: 4\r\n\r\nabcd"
    )
    with served.connect() as connection:
        connection.sendall(one.encode() * 3 + b"GET / HTTP/1.0\r\n\r\n")
        said = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert re.findall(rb"HTTP/1.[01] (\d+)", said) == [b"403", b"403", b"403", b"200"]


def test_a_body_that_trickles_is_not_waited_for(hasty: Served):
    """A byte now and then is no standstill, but no fair rate either."""
    with hasty.connect() as slow:
        slow.sendall(
            f"POST {SESSIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000\r\n\r\n".encode()
        )
        slow.settimeout(0.3)
        for _ in range(100):
            try:
                slow.sendall(b" ")
                if slow.recv(12) == b"HTTP/1.1 408":
                    return
            except TimeoutError:
                continue
        pytest.fail("it was waited for")


def test_one_small_request_cannot_take_all_descriptors(serve):
    """A thousand files in a form, beside connections that only wait."""
    served = serve("--threads", "8", files=160)
    worker = served.worker_pid()
    part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'
    body = part * 1000 + "--b--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    with ExitStack() as open_:
        for _ in range(300):
            open_.enter_context(served.connect()).sendall(UNFINISHED_REQUEST)
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(
                    lambda _: httpx2.post(
                        f"{served.url}{JOBS}/transcribe", content=body, headers=form, timeout=60
                    ),
                    range(16),
                )
            )
        assert {answer.status_code for answer in answers} == {422}
        assert answers[0].json()["code"] == "too_many_files"
        assert httpx2.get(f"{served.url}/healthz", timeout=60).status_code == 200
    assert served.worker_pid() == worker
    assert list((served.data_dir / "scratch").glob("upload-*")) == []


def test_a_process_without_descriptors_goes_on(serve):
    """More are taken than it reckoned with, as when another program has the system's last one."""
    served = serve("--threads", "4")
    worker = served.worker_pid()
    taken = psutil.Process(int(worker)).num_fds()
    resource.prlimit(int(worker), resource.RLIMIT_NOFILE, (taken + 10, taken + 10))
    with ExitStack() as open_:
        for _ in range(100):
            open_.enter_context(served.connect()).sendall(UNFINISHED_REQUEST)
        wait_until(lambda: "No resources for another connection" in served.log.read_text())
        assert httpx2.get(f"{served.url}/healthz", timeout=60).status_code == 200
    assert httpx2.get(f"{served.url}/healthz", timeout=60).status_code == 200
    assert served.worker_pid() == worker


def test_a_form_has_so_many_parts(served: Served):
    with served.http() as http:
        files = {**{f"field{n}": (None, "x") for n in range(60)}, **sound()}
        assert http.post(f"{JOBS}/transcribe", files=files).status_code == 413


def test_the_reserve_is_kept_whatever_is_wanted(monkeypatch):
    for limit, wanted, threads in ((64, 4000, 1064), (1024, 2128, 1064), (8192, 2128, 1064)):
        monkeypatch.setattr(descriptors, "_raise_limit", lambda _, limit=limit: limit)
        most = descriptors.count_affordable_connections(wanted, threads)
        at_work = min(most, threads)
        assert 0 < most + descriptors.DESCRIPTORS_PER_REQUEST * at_work < limit


def test_one_address_has_so_many_connections(monkeypatch):
    monkeypatch.setenv("MAX_CONNECTIONS_PER_ADDRESS", "2")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8")
    settings.cache_clear()
    counter = AddressCounter()
    assert [counter.add("192.0.2.1") for _ in range(3)] == [True, True, False]
    counter.remove("192.0.2.1")
    counter.remove("192.0.2.1")
    assert counter.add("192.0.2.1")
    assert counter.add("192.0.2.2"), "others have their own"
    for exempt in ("127.0.0.1", "::1", "10.1.2.3", "fd00::1", ""):
        assert all(counter.add(exempt) for _ in range(5)), exempt
    same_network = [f"2001:db8:0:1::{n:x}" for n in range(1, 4)]
    assert [counter.add(one) for one in same_network] == [True, True, False]
    assert counter.add("2001:db8:0:2::1")
    assert [counter.add("::ffff:192.0.2.9"), counter.add("192.0.2.9")] == [True, True]
    assert not counter.add("192.0.2.9")


def own_address() -> str | None:
    """An address of this machine that is not loopback, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address


def test_one_address_cannot_take_all_connections(tmp_path):
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback, which is not counted")
    more = {"MAX_CONNECTIONS_PER_ADDRESS": "5", "AUTH": "on"}
    with (
        serving(tmp_path / "data", "--bind", f"{address}:0", **more) as served,
        ExitStack() as open_,
    ):
        wait_until(lambda: served.log.read_text().count("http://") >= 1)
        port = int(re.search(rf"http://{re.escape(address)}:(\d+)", served.log.read_text())[1])
        taken = [
            open_.enter_context(socket.create_connection((address, port), timeout=60))
            for _ in range(5)
        ]
        for connection in taken:
            connection.sendall(UNFINISHED_REQUEST)
        with socket.create_connection((address, port), timeout=60) as one_more:
            assert answer_of(one_more)[0] == 429
        assert httpx2.get(f"{served.url}/healthz").status_code == 200, "others are answered"
        taken.pop().close()
        wait_until(lambda: _is_answered(f"http://{address}:{port}/healthz"))


def _is_answered(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=60).status_code == 200
    except httpx2.TransportError:
        return False
