"""What 2 000 headers that never end (slowloris) cost everybody else: ``python -m bench.slowloris``.

One process of the service, on this machine alone. A program of its own holds the connections, sends
a byte on each of them every other second, and opens those again that are closed. Meanwhile
`/healthz` is asked, as when nobody else is there: directly, and through nginx with the
configuration of ``deploy/``, where there is an nginx.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

from bench.figures import Figure, Measured, tell
from bench.service import running
from bench.table import show

CONFIGURATION = Path(__file__).resolve().parents[1] / "deploy" / "nginx.conf"
SENDERS, REQUESTS = 2000, 200
#: Milliseconds in which 95 of 100 requests are answered all the same.
GOAL = 100.0
#: Seconds from one byte to the next, and from one request to the next.
PACE, PAUSE = 2.0, 0.1
_UNFINISHED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


def main(senders: int = SENDERS, requests: int = REQUESTS) -> int:
    """Print the tables; returns 1 when a request was late or not answered."""
    return tell("slowloris", measure(senders, requests))


def measure(senders: int = SENDERS, requests: int = REQUESTS) -> Measured:
    """A row for each way to the service, without and with the senders."""
    rows, figures = [], []
    with running() as service, _ways(service.url) as ways:
        for way, url in ways:
            idle = _ask(url, requests)
            with _slow_senders(url, senders) as held:
                busy = _ask(url, requests)
                threads = service.process.num_threads()
            rows.append((way, "idle", *_row(idle), ""))
            rows.append((way, f"{held.value} unfinished", *_row(busy), threads))
            figures.append(_figure(way, senders, idle, busy))
    show(
        "/healthz under unfinished headers: milliseconds",
        ("way", "load", "answered", "p50", "p95", "largest", "threads of the service"),
        rows,
    )
    return Measured(figures)


def _figure(way: str, senders: int, idle: Sequence[float], busy: Sequence[float]) -> Figure:
    failed, late = busy.count(float("inf")), _percentile(busy, 95)
    return Figure(
        f"/healthz under {senders} unfinished headers, {way}",
        f"95 % within {GOAL:.0f} ms, all answered",
        f"{late:.0f} ms, {failed} not answered",
        late <= GOAL and not failed,
        late / _percentile(idle, 95),
        "the same without them",
    )


def _row(found: Sequence[float]) -> tuple[str, ...]:
    answered = sum(one < float("inf") for one in found)
    numbers = (statistics.median(found), _percentile(found, 95), max(found))
    return f"{answered} of {len(found)}", *(f"{one:.1f}" for one in numbers)


def _percentile(found: Sequence[float], percent: int) -> float:
    return sorted(found)[min(len(found) * percent // 100, len(found) - 1)]


def _ask(url: str, requests: int) -> list[float]:
    """Milliseconds until each of so many requests was answered, on a connection of its own."""
    found = []
    for _ in range(requests):
        began = time.perf_counter()
        well = _is_answered(url)
        found.append(1000 * (time.perf_counter() - began) if well else float("inf"))
        time.sleep(PAUSE)
    return found


def _is_answered(url: str) -> bool:
    try:
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False


@contextmanager
def _slow_senders(url: str, senders: int) -> Iterator[multiprocessing.sharedctypes.Synchronized]:
    """A process that holds the connections; gives how many it holds."""
    address = urlsplit(url)
    context = multiprocessing.get_context("spawn")
    held, ready = context.Value("i", 0), context.Event()
    arguments = (address.hostname, address.port, senders, held, ready)
    process = context.Process(target=_hold, args=arguments, daemon=True)
    process.start()
    try:
        assert ready.wait(120), "the connections cannot be opened"
        yield held
    finally:
        process.terminate()
        process.join()


def _hold(host: str, port: int, senders: int, held: multiprocessing.Value, ready: Event) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(senders + 100, most), most))
    asyncio.run(_hold_all(host, port, senders, held, ready))


async def _hold_all(
    host: str, port: int, senders: int, held: multiprocessing.Value, ready: Event
) -> None:
    tasks = [asyncio.create_task(_send_slowly(host, port, held)) for _ in range(senders)]
    while held.value < senders:
        await asyncio.sleep(0.05)
    ready.set()
    await asyncio.gather(*tasks)


async def _send_slowly(host: str, port: int, held: multiprocessing.Value) -> None:
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host, port)
            held.value += 1
            try:
                writer.write(_UNFINISHED)
                while not writer.is_closing():
                    await asyncio.sleep(PACE)
                    writer.write(b"a")
                    await writer.drain()
            finally:
                held.value -= 1
                writer.close()


@contextmanager
def _ways(url: str) -> Iterator[list[tuple[str, str]]]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    nginx = shutil.which("nginx", path=path)
    if nginx is None:
        print("There is no nginx here, so the way through it is not measured.")
        yield [("direct", url)]
        return
    with _nginx(nginx, url) as front:
        yield [("direct", url), ("behind nginx", front)]


@contextmanager
def _nginx(program: str, url: str) -> Iterator[str]:
    """The configuration of the repository, without TLS: what is measured is who waits for whom."""
    port = urlsplit(url).port or 0
    front = port + 1 if port < 65_000 else port - 1
    with tempfile.TemporaryDirectory(prefix="transcribe-bench-") as folder:
        file = Path(folder) / "nginx.conf"
        file.write_text(_configuration(port, front, folder))
        with subprocess.Popen([program, "-p", folder, "-c", file]) as process:
            try:
                _wait(f"http://127.0.0.1:{front}")
                yield f"http://127.0.0.1:{front}"
            finally:
                process.terminate()


def _configuration(port: int, front: int, folder: str) -> str:
    text = CONFIGURATION.read_text()
    redirecting = text.index("    server {\n        listen 80;")
    text = text[:redirecting] + text[text.index("    server {\n        listen 443") :]
    lines = (line for line in text.splitlines() if "ssl_" not in line)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    return f"daemon off;\npid {folder}/nginx.pid;\n" + "\n".join(lines).replace(
        "http {", f"http {{\n{paths}", 1
    ).replace("listen 443 ssl http2", f"listen 127.0.0.1:{front}").replace(
        "127.0.0.1:8000", f"127.0.0.1:{port}"
    ).replace("/var/log/nginx", folder)


def _wait(url: str) -> None:
    for _ in range(100):
        if _is_answered(url):
            return
        time.sleep(0.1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=SENDERS)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    sys.exit(main(given.senders, given.requests))
