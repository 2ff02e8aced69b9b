"""What answers may do in a browser, what paths they are found at, and what asking costs."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from itertools import product

import httpx2
import pytest

from core.errors import RateLimited
from core.settings import settings
from core.storage import storage
from tests.factories.jobs import create_completed_job
from tests.factories.requests import create_key
from tests.integration.conftest import wait_until
from tests.security.conftest import JOBS, Served, make_tables, serving
from transcribe_api.app import create_app
from transcribe_api.http.events.event_broker import EventBroker, TooManyKeyStreams
from transcribe_api.http.gate.headers import SECURITY_HEADERS

PAGES = ("/", "/docs", "/static/docs.html", "/static/page/index.html")
ANSWERS = (
    *PAGES, "/openapi.json", "/healthz", "/readyz", "/metrics", "/nowhere", "/static/nowhere",
    "/static/swagger-ui/swagger-ui.css", JOBS, f"{JOBS}/status/x", f"{JOBS}/audio/x", "/v1/models",
    "/v1/models/none", f"{JOBS}/transcribe",
)  # fmt: skip


def policy(answer) -> dict[str, str]:
    parts = answer.headers["Content-Security-Policy"].split(";")
    return dict(one.strip().split(" ", 1) for one in parts)


def test_every_answer_has_the_headers_that_protect_it(database):
    browser = create_app().test_client()
    for path, method in product(ANSWERS, ("GET", "POST", "OPTIONS")):
        with browser.open(path, method=method) as answer:
            lacks = {name for name in SECURITY_HEADERS if name not in answer.headers}
            assert lacks == set(), f"{method} {path}"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"


def test_no_page_runs_what_others_wrote_or_is_shown_in_theirs(database):
    browser = create_app().test_client()
    for path in PAGES:
        with browser.get(path) as answer:
            assert answer.status_code == 200
            told = policy(answer)
        assert told["default-src"] == "'none'", path
        assert told["frame-ancestors"] == "'none'", path
        assert "unsafe" not in told.get("script-src", ""), path


@pytest.mark.parametrize("name", ["transcription.srt", "transcription.html"])
def test_a_file_of_a_job_is_saved_and_not_shown(database, name: str):
    job_id = create_completed_job(None)
    with create_app().test_client().get(f"{JOBS}/artefacts/{job_id}/{name}") as answer:
        if answer.status_code == 200:
            assert answer.headers["Content-Disposition"] == "attachment"
        assert policy(answer)["default-src"] == "'none'"


@pytest.mark.parametrize("garbage", [b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000])
def test_what_never_comes_to_a_route_is_answered_with_them_too(served: Served, garbage: bytes):
    with served.connect() as connection:
        connection.sendall(garbage)
        said = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    assert re.match(r"HTTP/1.1 4\d\d ", said)
    assert all(f"{name}: {value}" in said for name, value in SECURITY_HEADERS.items())


# Paths


def raw_status(served: Served, path: str, *headers: str) -> int:
    lines = (f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", "")
    with served.connect() as connection:
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.makefile("rb").readline().split()[1])


def test_a_header_moves_no_path(served: Served):
    """So /x/metrics is not /metrics, which a proxy's rules may keep to itself."""
    names = ("SCRIPT_NAME", "Script_Name", "script_name", "PATH_INFO")
    for name, value in product(names, ("/x", "/metrics", "x", "", "//")):
        assert raw_status(served, "/x/metrics", f"{name}: {value}") == 404, f"{name}: {value}"
        assert raw_status(served, "/healthz", f"{name}: {value}") == 200, f"{name}: {value}"


def test_a_header_moves_no_path_of_another_worker_class_either(tmp_path):
    """Started as others start it: gunicorn's own worker, and none of our files beside it."""
    data_dir = tmp_path / "data"
    make_tables(data_dir)
    with serving(data_dir, "--worker-class", "gthread", cwd=tmp_path) as plain:
        assert raw_status(plain, "/x/metrics", "SCRIPT_NAME: /x") in (400, 404)
        assert raw_status(plain, "/healthz") == 200


# What asking costs


def test_readiness_writes_nothing(database, data_dir):
    browser = create_app().test_client()
    browser.get("/readyz")
    before = {path: path.stat().st_mtime_ns for path in settings().objects_dir.rglob("*")}
    for _ in range(20):
        browser.get("/readyz")
    storage().ping()
    assert {path: path.stat().st_mtime_ns for path in settings().objects_dir.rglob("*")} == before


def test_readiness_looks_once_a_second_at_most(database, monkeypatch):
    from transcribe_api.routes import health

    looks = []
    monkeypatch.setitem(health._PINGS, "storage", lambda: looks.append(1))
    monkeypatch.setattr(health, "CACHE_SECONDS", 3600.0)
    browser = create_app().test_client()
    told = [browser.get("/readyz").json for _ in range(50)]
    assert len(looks) == 1
    assert all(one == told[0] for one in told)


def test_one_key_cannot_take_all_streams(monkeypatch, data_dir):
    import uuid

    monkeypatch.setenv("MAX_STREAMS_PER_KEY", "3")
    settings.cache_clear()
    hub, greedy, other = EventBroker(), uuid.uuid4(), uuid.uuid4()
    with ExitStack() as open_:
        for _ in range(3):
            open_.enter_context(hub.listen("job", greedy))
        with pytest.raises(TooManyKeyStreams), hub.listen("job", greedy):
            pass
        assert isinstance(TooManyKeyStreams("", retry_in=1), RateLimited), "which is answered 429"
        with hub.listen("job", other), hub.listen("job", None):
            assert hub.listener_count == 5
    with hub.listen("job", greedy):
        assert hub.listener_count == 1


def test_a_key_with_too_many_streams_is_told_so(serve):
    served = serve(MAX_STREAMS_PER_KEY="2", AUTH="on", REDIS_URL="redis://127.0.0.1:1/0")
    from tests.security.conftest import make_key

    mine, others = make_key(served.data_dir), make_key(served.data_dir)
    job_id = _job_of(served, mine)
    with ExitStack() as open_, served.http() as http:
        for _ in range(2):
            stream = http.stream("GET", f"{JOBS}/stream/{job_id}", headers={"X-API-Key": mine})
            assert open_.enter_context(stream).status_code == 200
        refused = http.get(f"{JOBS}/stream/{job_id}", headers={"X-API-Key": mine})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
        assert int(refused.headers["Retry-After"]) >= 1
        assert http.get(f"{JOBS}/stream/{job_id}", headers={"X-API-Key": others}).status_code == 404
        with suppress(httpx2.HTTPError):
            open_.close()
        wait_until(lambda: _opens(http, f"{JOBS}/stream/{job_id}", mine))


def _opens(http: httpx2.Client, path: str, mine: str) -> bool:
    with http.stream("GET", path, headers={"X-API-Key": mine}) as answer:
        return answer.status_code == 200


def _job_of(served: Served, mine: str) -> str:
    """Waits for ever: there is no worker, and no Redis."""
    from tests.security.conftest import sound

    answer = httpx2.post(
        f"{served.url}{JOBS}/transcribe", files=sound(), headers={"X-API-Key": mine}, timeout=60
    )
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def test_wrong_keys_are_counted_by_who_sends_them(monkeypatch, database):
    """Behind a trusted proxy that is who the proxy names; others may name whom they like."""
    monkeypatch.setenv("AUTH", "on")
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.0/8")
    settings.cache_clear()
    browser = create_app().test_client()
    create_key()
    wrong = {"X-API-Key": "tk_0123456789_" + "a" * 43}

    def status(client: str) -> int:
        return browser.get(JOBS, headers={**wrong, "X-Forwarded-For": client}).status_code

    assert [status("192.0.2.1") for _ in range(30)] == [401] * 30
    assert status("192.0.2.1") == 429
    assert status("198.51.100.1, 192.0.2.1") == 429, "only what the proxy itself wrote counts"
    assert status("192.0.2.2") == 401
