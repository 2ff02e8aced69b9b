"""Requests are counted by key, submissions apart, wrong keys by address; with Redis or without."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from core.access.keys import Scope
from core.settings import settings
from tests.factories.recordings import build_recording
from tests.factories.requests import create_key
from tests.unit.conftest import running_redis
from transcribe_api.app import create_app
from transcribe_api.http.auth import rate_limits

pytestmark = pytest.mark.usefixtures("database")

API = "/api/transcribe"


@pytest.fixture(params=["redis", "no redis"])
def server(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen | None]:
    """The private Redis of the embedded stack, or none: then each process counts for itself."""
    if request.param == "no redis":
        yield None
        return
    with running_redis() as process:
        yield process


def service(monkeypatch: pytest.MonkeyPatch, auth: str = "on", **limits: int) -> FlaskClient:
    monkeypatch.setenv("AUTH", auth)
    for name, value in limits.items():
        monkeypatch.setenv(name.upper(), str(value))
    settings.cache_clear()
    return create_app().test_client()


def statuses(browser: FlaskClient, times: int, headers: dict[str, str], url: str = "jobs"):
    return [browser.get(f"{API}/{url}", headers=headers).status_code for _ in range(times)]


def test_a_key_has_so_many_requests_a_minute(server, monkeypatch):
    browser = service(monkeypatch, rate_limit_per_minute=3)
    _, headers = create_key()
    assert statuses(browser, 4, headers) == [200, 200, 200, 429]
    refused = browser.get(f"{API}/sessions", headers=headers)
    assert refused.status_code == 429, "all routes count together"
    assert refused.json["code"] == "rate_limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert statuses(browser, 1, create_key()[1]) == [200], "each key for itself"


def test_all_processes_count_together(monkeypatch):
    with running_redis():
        first = service(monkeypatch, rate_limit_per_minute=2)
        second = service(monkeypatch)
        _, headers = create_key()
        counted = [statuses(one, 1, headers) for one in (first, second, first)]
    assert counted == [[200], [200], [429]]


def test_a_redis_that_goes_down_refuses_nobody(monkeypatch):
    with running_redis() as server:
        browser = service(monkeypatch, rate_limit_per_minute=3)
        _, headers = create_key()
        assert statuses(browser, 1, headers) == [200]
        server.kill()
        server.wait()
    assert statuses(browser, 4, headers) == [200, 200, 200, 429], "it counts anew, by itself"


def test_a_key_may_have_a_number_of_its_own(monkeypatch):
    browser = service(monkeypatch, rate_limit_per_minute=2)
    assert statuses(browser, 4, create_key(per_minute=3)[1]) == [200, 200, 200, 429]
    assert statuses(browser, 1, create_key(per_minute=1)[1]) == [200]
    assert set(statuses(browser, 9, create_key(per_minute=0)[1])) == {200}


def test_a_refusal_has_the_form_of_its_route(monkeypatch):
    browser = service(monkeypatch, rate_limit_per_minute=1)
    _, headers = create_key()
    assert statuses(browser, 1, headers) == [200]
    refused = browser.get("/v1/models", headers=headers)
    assert refused.json["error"]["code"] == "rate_limited"
    assert int(refused.headers["Retry-After"]) >= 1


def test_no_limit_is_no_limit(monkeypatch):
    browser = service(monkeypatch, rate_limit_per_minute=0)
    assert set(statuses(browser, 9, create_key()[1])) == {200}


def test_what_is_not_there_counts_too(monkeypatch):
    browser = service(monkeypatch, rate_limit_per_minute=2)
    assert statuses(browser, 3, create_key()[1], "nowhere") == [404, 404, 429]


def test_submissions_have_a_limit_of_their_own(monkeypatch):
    browser = service(monkeypatch, submit_limit_per_minute=1)
    _, headers = create_key()

    def submit(engine: str):
        form = {"file": (build_recording(), "a.wav")}
        return browser.post(f"{API}/jobs/transcribe{engine}", data=form, headers=headers)

    assert submit("").status_code == 202
    refused = submit("/asr")
    assert refused.status_code == 429
    assert "1 submissions" in refused.json["detail"]
    assert not list(settings().scratch_dir.glob("*")), "it was not received"
    assert statuses(browser, 1, headers) == [200]


def test_every_route_that_starts_a_job_is_known(monkeypatch):
    routes = {rule.rule for rule in service(monkeypatch).application.url_map.iter_rules()}
    assert {rule for rule in routes if "jobs/transcribe" in rule} <= rate_limits.SUBMISSION_RULES
    assert routes >= rate_limits.SUBMISSION_RULES, "each is there"


def test_wrong_keys_are_refused_sooner_or_later_and_right_ones_go_on_working(server, monkeypatch):
    browser = service(monkeypatch)
    wrong = {"X-API-Key": "tk_0123456789_" + "a" * 43}
    most = rate_limits.WRONG_KEYS_PER_MINUTE
    assert statuses(browser, most + 1, wrong) == [401] * most + [429]
    assert statuses(browser, 1, wrong, "nowhere") == [429]
    assert statuses(browser, 1, create_key(Scope.READ)[1]) == [200]
    elsewhere = browser.get(f"{API}/jobs", headers=wrong, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert elsewhere.status_code == 401, "each address for itself"
    assert statuses(browser, 1, {}) == [401], "no key is no wrong one"


def test_health_is_never_refused(monkeypatch):
    browser = service(monkeypatch, rate_limit_per_minute=1)
    _, headers = create_key()
    assert {browser.get("/healthz", headers=headers).status_code for _ in range(5)} == {200}
    assert statuses(browser, 1, headers) == [200]


def test_nobody_is_counted_where_keys_are_not_asked_for(monkeypatch):
    browser = service(monkeypatch, "auto", rate_limit_per_minute=1, submit_limit_per_minute=1)
    assert set(statuses(browser, 5, {})) == {200}
