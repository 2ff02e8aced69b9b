"""The service answers to its own names: a name that leads here by DNS alone is none of them."""

from __future__ import annotations

import socket
from itertools import product

import pytest

from tests.factories.jobs import create_completed_job
from tests.factories.requests import create_client
from tests.security.conftest import JOBS, SESSIONS

pytestmark = pytest.mark.usefixtures("database")

STRANGE = (
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "localhost, evil.example",
    "evil@localhost",
    "localhost@evil.example",
    "localhost/evil",
    "[::1",
    "[evil.example]",
    "local host",
    "0x7f.1",
    "http://localhost",
    ":8000",
)
OWN = ("localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:8000", "[::1]:8000", "192.0.2.7")


@pytest.mark.parametrize("auth", ["auto", "off", "on"])
def test_dns_rebinding_reads_and_writes_nothing(monkeypatch, auth: str):
    browser = create_client(monkeypatch, AUTH=auth)
    for host, path in product(STRANGE, (JOBS, "/", "/healthz", "/static/docs.html", "/nowhere")):
        for method in ("GET", "POST", "DELETE"):
            answer = browser.open(path, method=method, headers={"Host": host})
            assert answer.status_code == 421, f"{method} {path} of {host}"
            assert answer.json["code"] == "wrong_host"
            assert host not in answer.text, "what a stranger sends is not said back"
    made = browser.post(SESSIONS, json={"name": "a"}, headers={"Host": "evil.example"})
    assert made.status_code == 421
    assert "ALLOWED_HOSTS" in made.json["detail"]


def test_the_names_of_this_machine_are_answered(monkeypatch):
    browser = create_client(monkeypatch, AUTH="off")
    for host in (*OWN, socket.gethostname(), ""):
        answer = browser.get(JOBS, headers={"Host": host} if host else {})
        assert answer.status_code == 200, host


def test_the_operator_says_which_names_there_are(monkeypatch):
    browser = create_client(
        monkeypatch, AUTH="off", PUBLIC_URL="https://public.example",
        ALLOWED_HOSTS="a.example, .b.example, 192.0.2.7,[2001:db8::7]",
    )  # fmt: skip

    def status(host: str) -> int:
        return browser.get("/healthz", headers={"Host": host}).status_code

    for host in ("a.example:8000", "A.EXAMPLE", "b.example", "x.y.b.example", "192.0.2.7:80",
                 "[2001:db8::7]:80", "localhost", "127.0.0.1", "public.example"):  # fmt: skip
        assert status(host) == 200, host
    for host in ("x.a.example", "ab.example", "xb.example", "192.0.2.8", socket.gethostname()):
        assert status(host) == 421, host


def test_the_operator_may_allow_any_name(monkeypatch):
    browser = create_client(monkeypatch, AUTH="off", ALLOWED_HOSTS="*")
    assert browser.get("/healthz", headers={"Host": "evil.example"}).status_code == 200
    assert browser.get("/healthz", headers={"Host": "evil@localhost"}).status_code == 421


def test_links_to_recordings_lead_to_public_url(monkeypatch):
    browser = create_client(monkeypatch, PUBLIC_URL="https://transcribe.example", AUTH="off")
    job_id = create_completed_job(None)
    for host in ("localhost", "192.0.2.7:8000", "transcribe.example"):
        told = browser.get(f"{JOBS}/result/{job_id}", headers={"Host": host}).json
        assert told["audio_url"].startswith(f"https://transcribe.example{JOBS}/audio/")


def test_links_to_recordings_never_lead_to_a_name_of_strangers(monkeypatch):
    browser = create_client(monkeypatch, AUTH="off")
    job_id = create_completed_job(None)
    told = browser.get(f"{JOBS}/result/{job_id}", headers={"Host": "localhost:8000"}).json
    assert told["audio_url"].startswith(f"http://localhost:8000{JOBS}/audio/")
    strange = {"Host": "evil.example"}
    assert browser.get(f"{JOBS}/result/{job_id}", headers=strange).status_code == 421
    forwarded = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    told = browser.get(f"{JOBS}/result/{job_id}", headers=forwarded).json
    assert told["audio_url"].startswith("http://localhost/")
