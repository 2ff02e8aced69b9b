"""Once there is a key, whoever comes without one is refused, whichever way they come."""

from __future__ import annotations

import http.client
import socket
import stat
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from core.access import local_token
from core.filesystem import private_files
from core.settings import settings
from tests.factories.jobs import create_completed_job
from tests.factories.requests import create_key
from tests.security.conftest import JOBS, SESSIONS, Served, make_key, transcribe
from transcribe_api.app import create_app
from transcribe_api.client import Client, local

#: What proxies and the networks before them add to what they pass on.
PASSED_ON = (
    "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP",
    "CF-Connecting-IP", "True-Client-IP",
)  # fmt: skip


class UnixConnection(http.client.HTTPConnection):
    """Over a path, as a proxy or a neighbour on this machine comes."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


@pytest.fixture(scope="module")
def guarded(serve, tmp_path_factory) -> tuple[Served, str, Path]:
    """A service of this machine alone for which a key was made; over a port and a path."""
    path = tmp_path_factory.mktemp("s") / "service.sock"
    served = serve("--bind", f"unix:{path}")
    assert httpx2.get(f"{served.url}{JOBS}").status_code == 200, "no key, none asked for"
    return served, make_key(served.data_dir), path


def test_a_bare_proxy_cannot_lead_past_the_keys(guarded):
    """Nginx's plain proxy_pass sends its target as Host, HTTP/1.0, and says nothing of itself."""
    served, mine, _ = guarded
    raw = f"GET {JOBS} HTTP/1.0\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(raw.encode())
        assert connection.makefile("rb").readline().split()[1] == b"401"
    with served.http(Authorization=f"Bearer {mine}") as http:
        assert http.get(JOBS).status_code == 200


@pytest.mark.parametrize("header", PASSED_ON)
def test_what_a_proxy_says_of_itself_is_known(header: str, database):
    """Also without any key: then nobody gets in who was passed on."""
    browser = create_app().test_client()
    assert browser.get(JOBS).status_code == 200
    assert browser.get(JOBS, headers={header: "192.0.2.1"}).status_code == 401
    assert browser.get("/healthz", headers={header: "192.0.2.1"}).status_code == 200


def test_a_unix_socket_asks_for_the_key_too(guarded):
    _, mine, path = guarded
    for headers, status in (({}, 401), ({"X-API-Key": mine}, 200)):
        with closing(UnixConnection(path)) as connection:
            connection.request("GET", JOBS, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status


def test_public_routes_and_signed_links_need_no_key(guarded, database):
    served, _, _ = guarded
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/static/docs.html"):
        assert httpx2.get(f"{served.url}{path}").status_code == 200
    browser = create_app().test_client()
    row, headers = create_key()
    told = browser.get(f"{JOBS}/result/{create_completed_job(row.owner_id)}", headers=headers).json
    assert browser.get(told["audio_url"]).status_code == 200


def test_off_stays_off(monkeypatch, database):
    create_key()
    monkeypatch.setenv("AUTH", "off")
    settings.cache_clear()
    assert create_app().test_client().get(JOBS).status_code == 200


def test_a_key_whose_time_is_over_does_not_open_the_door(database):
    from datetime import timedelta

    from core import clock

    create_key(expires_at=clock.utc_now() - timedelta(days=1))
    assert create_app().test_client().get(JOBS).status_code == 401


def test_while_the_records_are_down_the_last_answer_holds(database, monkeypatch):
    """And whoever never had one opens to nobody."""
    from core.db import transactions
    from transcribe_api.http.auth import exposure

    app = create_app()
    assert app.test_client().get("/nowhere").status_code == 404
    monkeypatch.setattr(
        transactions, "engine", lambda: transactions.build_engine("sqlite:////nowhere/at/all.db")
    )
    assert app.test_client().get("/nowhere").status_code == 404
    exposure._has_key_by_database.clear()
    assert app.test_client().get("/nowhere").status_code == 503


# The token of this machine's command line


def test_the_command_line_of_this_machine_needs_no_key(guarded):
    served, _, _ = guarded
    done = transcribe("jobs", "list", "--url", served.url, TRANSCRIBE_DATA_DIR=str(served.data_dir))
    assert done.stdout == ""
    token = (served.data_dir / "token").read_text()
    with served.http(Authorization=f"Bearer {token}") as http:
        made = http.post(SESSIONS, json={"name": "Monday"})
        assert made.status_code == 201
        assert http.get("/metrics").status_code == 200, "it sees what administrators see"


def test_the_python_client_of_this_machine_needs_no_key(guarded, monkeypatch):
    served, _, _ = guarded
    monkeypatch.setenv("TRANSCRIBE_DATA_DIR", str(served.data_dir))
    with Client(served.url) as client:
        assert client.jobs()["jobs"] == []


def test_the_token_is_for_its_owner_alone_and_kept(data_dir: Path, database):
    create_app()
    path = data_dir / "token"
    token = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    create_app()
    assert path.read_text() == token
    path.chmod(0o644)  # somebody may have read it
    create_app()
    assert path.read_text() != token
    assert not private_files.is_open_to_others(path)


def test_the_token_opens_nothing_from_elsewhere(database):
    browser = create_app().test_client()
    create_key()
    headers = {"Authorization": f"Bearer {local_token.read_token()}"}
    assert browser.get(JOBS, headers=headers).status_code == 200
    mapped = {"REMOTE_ADDR": "::ffff:127.0.0.1"}
    assert browser.get(JOBS, headers=headers, environ_overrides=mapped).status_code == 200
    for environ in ({"REMOTE_ADDR": "192.0.2.1"}, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}):
        assert browser.get(JOBS, headers=headers, environ_overrides=environ).status_code == 401


@pytest.mark.parametrize(
    "url", ["https://transcribe.example", "http://192.0.2.1:8000", "http://localhost.evil.example"]
)
def test_the_token_is_sent_to_no_other_machine(data_dir: Path, url: str, database):
    create_app()
    assert (
        local.read_token("http://localhost:8000") == local.read_token("http://[::1]:1") is not None
    )
    assert local.read_token(url) is None


def test_a_token_that_is_missing_or_empty_opens_nothing(data_dir: Path, database):
    browser = create_app().test_client()
    create_key()
    for content in ("", "\n", None):
        if content is None:
            (data_dir / "token").unlink()
        else:
            (data_dir / "token").write_text(content)
        for sent in ("Bearer ", "Bearer x", "Bearer"):
            assert browser.get(JOBS, headers={"Authorization": sent}).status_code == 401
