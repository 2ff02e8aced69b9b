"""A page of another site changes nothing, and reads nothing, through its reader's browser."""

from __future__ import annotations

import uuid

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.db.models import SessionRow, TranscriptJob
from core.db.transactions import read_session
from tests.factories.jobs import create_completed_job
from tests.factories.recordings import build_recording
from tests.factories.requests import create_client, create_key
from tests.security.conftest import JOBS, SESSIONS

pytestmark = pytest.mark.usefixtures("database")

UNKNOWN = uuid.UUID(int=7)
PUBLIC = "https://transcribe.example"
#: What browsers say of a request that a page of another site has them send.
FOREIGN = (
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "anything-new"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:9000"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://evil.example, http://localhost"},
    {"Origin": f"{PUBLIC}.evil.example"},
)
OWN = (
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost"},
    {"Origin": "https://localhost"},  # a proxy speaks TLS
    {"Origin": "HTTP://LOCALHOST"},
    {},
)


def count(row: type) -> int:
    with read_session() as session:
        return session.query(row).count()


@pytest.mark.parametrize("auth", ["auto", "off"])
def test_a_page_of_another_site_cannot_write(monkeypatch, auth: str):
    browser = create_client(monkeypatch, AUTH=auth, PUBLIC_URL=PUBLIC)
    job_id = create_completed_job(None)
    for headers in FOREIGN:
        answers = writings(browser, job_id, headers)
        assert [answer.status_code for answer in answers] == [403] * len(answers), headers
        assert answers[0].json["code"] == "cross_origin"
        assert answers[1].json["error"]["code"] == "cross_origin", "/v1 speaks OpenAI's way"
    assert (count(TranscriptJob), count(SessionRow)) == (1, 0)


def writings(browser: FlaskClient, job_id: str, headers: dict[str, str]) -> list[TestResponse]:
    """The answers to whatever a page would want to change."""
    form = {"file": (build_recording(), "a.wav")}
    return [
        browser.post(f"{JOBS}/transcribe", data=form, headers=headers),
        browser.post("/v1/audio/transcriptions", data={"model": "sphinx"}, headers=headers),
        browser.post(SESSIONS, json={"name": "Monday"}, headers=headers),
        browser.put(f"{SESSIONS}/{UNKNOWN}", json={"name": "Monday"}, headers=headers),
        browser.post(f"{JOBS}/{job_id}/cancel", headers=headers),
        browser.post(f"{JOBS}/{job_id}/retry", headers=headers),
        browser.delete(f"{JOBS}/{job_id}", headers=headers),
        browser.post("/nowhere", headers=headers),
    ]


def test_our_own_page_and_programs_write_as_ever(monkeypatch):
    browser = create_client(monkeypatch)
    for headers in OWN:
        answer = browser.post(SESSIONS, json={"name": "Monday"}, headers=headers)
        assert answer.status_code == 201, headers


def test_what_changes_nothing_is_answered_but_not_readable_for_other_sites(monkeypatch):
    browser = create_client(monkeypatch)
    for headers in FOREIGN:
        answer = browser.get(SESSIONS, headers=headers)
        assert answer.status_code == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_page_behind_a_proxy_is_our_own_by_public_url(monkeypatch):
    browser = create_client(monkeypatch, PUBLIC_URL=f"{PUBLIC}/", AUTH="off")
    for host in ("127.0.0.1:8000", "transcribe.example"):
        sent = {"Origin": PUBLIC, "Host": host}
        assert browser.post(SESSIONS, json={"name": "a"}, headers=sent).status_code == 201


def test_a_page_of_a_configured_site_writes_and_reads(monkeypatch):
    app = "https://app.example:8443"
    browser = create_client(
        monkeypatch, CORS_ORIGINS=f"{app}, http://other.example:80/", AUTH="off"
    )
    sent = {"Origin": app, "Sec-Fetch-Site": "cross-site"}
    answer = browser.post(SESSIONS, json={"name": "Monday"}, headers=sent)
    assert answer.status_code == 201
    assert answer.headers["Access-Control-Allow-Origin"] == app
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    other = browser.get(SESSIONS, headers={"Origin": "http://other.example"})
    assert other.headers["Access-Control-Allow-Origin"] == "http://other.example"
    for stranger in ("https://app.example", f"{app}.evil.example", "null", "*"):
        refused = browser.post(SESSIONS, json={"name": "Monday"}, headers={"Origin": stranger})
        assert refused.status_code == 403
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_browser_that_asks_beforehand_is_answered_for_a_configured_site_alone(monkeypatch):
    browser = create_client(monkeypatch, CORS_ORIGINS="https://app.example", AUTH="on")
    asked = {"Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
    ours = browser.options(SESSIONS, headers={**asked, "Origin": "https://app.example"})
    assert (ours.status_code, ours.data) == (204, b"")
    assert "POST" in ours.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in ours.headers["Access-Control-Allow-Headers"]
    theirs = browser.options(SESSIONS, headers={**asked, "Origin": "https://evil.example"})
    assert theirs.status_code == 401
    assert "Access-Control-Allow-Origin" not in theirs.headers
    # It is a question only: what follows needs a key.
    follows = browser.post(SESSIONS, json={"name": "a"}, headers={"Origin": "https://app.example"})
    assert follows.status_code == 401
    assert follows.headers["Access-Control-Allow-Origin"] == "https://app.example", "to be shown"


def test_a_key_does_not_open_the_service_to_the_page_that_holds_it(monkeypatch):
    browser = create_client(monkeypatch, AUTH="on")
    _, headers = create_key()
    sent = {**headers, "Origin": "https://evil.example"}
    assert browser.post(SESSIONS, json={"name": "a"}, headers=sent).status_code == 403
    assert browser.post(SESSIONS, json={"name": "a"}, headers=headers).status_code == 201
