"""Whose key opens what, when keys are asked for, and that nobody sees what is another's."""

from __future__ import annotations

import io
import socket
import uuid
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from core import clock
from core.access import keys, secrets
from core.access.keys import Scope
from core.db.models import DeliveryRow
from core.db.transactions import read_session, transaction
from core.errors import SettingsError
from core.jobs import lifecycle
from core.settings import settings
from core.storage import storage
from core.webhooks import DeliveryState
from tests.factories.jobs import create_completed_job
from tests.factories.recordings import build_recording
from tests.factories.requests import API, create_key, open_stream, request_token
from transcribe_api.app import create_app
from transcribe_api.http.auth import authentication, exposure

pytestmark = pytest.mark.usefixtures("database")

NOBODY = {"HTTP_HOST": "localhost:8000", "SERVER_NAME": "127.0.0.1"}
#: The id of no job; the same in each process that collects the tests.
UNKNOWN = uuid.UUID(int=7)


def rules(browser: FlaskClient) -> list[tuple[str, str]]:
    return sorted(
        (method, rule.rule)
        for rule in browser.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def test_nothing_is_open_without_a_key_but_what_is_meant_to_be(auth_client: FlaskClient):
    open_ = []
    for method, rule in rules(auth_client):
        url = rule.replace("<", "").replace(">", "")
        with auth_client.open(url, method=method) as answer:
            if answer.status_code != 401:
                open_.append(rule)
                continue
            told = answer.json.get("error", answer.json)  # /v1 speaks OpenAI's way
            assert told["code"] == "unauthorized"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert open_ == [
        "/",
        f"{API}/jobs/audio/<token>",
        "/docs",
        "/healthz",
        "/openapi.json",
        "/readyz",
        "/static/<path:filename>",
    ]


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_comes_in_either_header(auth_client: FlaskClient, header: str):
    _, headers = create_key(Scope.READ)
    text = headers["Authorization"]
    sent = {header: text if header == "Authorization" else text.removeprefix("Bearer ")}
    assert auth_client.get(f"{API}/jobs", headers=sent).status_code == 200


def test_a_key_in_the_address_opens_nothing(auth_client: FlaskClient):
    _, headers = create_key()
    text = headers["Authorization"].removeprefix("Bearer ")
    for name in ("access_token", "key", "api_key", "token"):
        assert auth_client.get(f"{API}/jobs?{name}={text}").status_code == 401
        url = f"{API}/jobs/stream/{uuid.uuid4()}?{name}={text}"
        assert auth_client.get(url).status_code == 401


@pytest.mark.parametrize(
    "sent",
    ["Bearer", "Bearer ", "Bearer tk_0123456789_" + "a" * 43, "Basic dGtfOmE=", "tk_x", "Bearer Ω"],
)
def test_what_is_no_key_is_refused_with_a_sentence(auth_client: FlaskClient, sent: str):
    answer = auth_client.get(f"{API}/jobs", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert "key" in answer.json["detail"]


def test_a_revoked_key_opens_nothing_from_the_next_request_on(auth_client: FlaskClient):
    row, headers = create_key()
    assert auth_client.get(f"{API}/jobs", headers=headers).status_code == 200
    with transaction() as session:
        keys.revoke_key(session, row.prefix)
    assert auth_client.get(f"{API}/jobs", headers=headers).status_code == 401


def test_the_use_of_a_key_is_noted(auth_client: FlaskClient):
    row, headers = create_key(Scope.READ)
    auth_client.get(f"{API}/jobs", headers=headers)
    with read_session() as session:
        assert keys.get_key(session, row.prefix).last_used_at is not None


@pytest.mark.parametrize(
    ("scope", "method", "url", "status"),
    [
        (Scope.READ, "GET", f"{API}/jobs/engines", 200),
        (Scope.READ, "GET", f"{API}/sessions", 200),
        (Scope.READ, "POST", f"{API}/auth/token", 200),
        (Scope.READ, "POST", f"{API}/sessions", 403),
        (Scope.READ, "POST", f"{API}/jobs/transcribe", 403),
        (Scope.READ, "DELETE", f"{API}/jobs/{UNKNOWN}", 403),
        (Scope.READ, "GET", f"{API}/webhooks/secret", 403),
        (Scope.WRITE, "GET", f"{API}/webhooks/secret", 200),
        (Scope.WRITE, "POST", f"{API}/sessions", 201),
        (Scope.WRITE, "DELETE", f"{API}/jobs/{UNKNOWN}", 404),
        (Scope.ADMIN, "POST", f"{API}/sessions", 201),
        (Scope.READ, "GET", "/nowhere", 404),
        (Scope.READ, "POST", "/nowhere", 404),
        (Scope.READ, "PUT", f"{API}/jobs", 405),
    ],
)
def test_a_scope_allows_its_own(
    auth_client: FlaskClient, scope: Scope, method: str, url: str, status: int
):
    _, headers = create_key(scope)
    body = {"json": {"name": "Monday"}} if url.endswith("sessions") and method == "POST" else {}
    answer = auth_client.open(url, method=method, headers=headers, **body)
    assert answer.status_code == status
    if status == 403:
        assert answer.json["code"] == "forbidden"
        assert "write" in answer.json["detail"]


@pytest.mark.parametrize("url", ["/metrics", f"{API}/system/status"])
def test_what_is_of_administrators_needs_their_scope(auth_client: FlaskClient, url: str):
    refused = auth_client.get(url, headers=create_key()[1])
    assert refused.status_code == 403
    assert "admin" in refused.json["detail"]
    assert auth_client.get(url, headers=create_key(Scope.ADMIN)[1]).status_code != 403


def test_unknown_routes_tell_nothing_without_a_key(auth_client: FlaskClient):
    assert auth_client.get("/nowhere").status_code == 401
    assert auth_client.put(f"{API}/jobs").status_code == 401


def test_a_refused_upload_is_not_read(auth_client: FlaskClient):
    class Body(io.BytesIO):
        def read(self, *_):
            raise AssertionError("the body was read")

        readline = readinto = read

    for headers, status in (({}, 401), (create_key(Scope.READ)[1], 403)):
        answer = auth_client.post(
            f"{API}/jobs/transcribe",
            headers=headers,
            input_stream=Body(b"x" * 1000),
            content_type="multipart/form-data; boundary=x",
        )
        assert answer.status_code == status
    assert not settings().scratch_dir.exists()


def test_a_database_that_is_down_opens_nothing_but_health(auth_client: FlaskClient, monkeypatch):
    from core.db import transactions

    _, headers = create_key()
    monkeypatch.setattr(
        transactions, "engine", lambda: transactions.build_engine("sqlite:////nowhere/at/all.db")
    )
    assert auth_client.get(f"{API}/jobs", headers=headers).status_code == 503
    assert auth_client.get("/healthz").status_code == 200


# Access tokens


def test_a_token_opens_the_streams_of_its_owner_and_nothing_else(auth_client: FlaskClient):
    row, headers = create_key(Scope.READ)
    mine, others = create_completed_job(row.owner_id), create_completed_job(uuid.uuid4())
    access = request_token(auth_client, headers)
    with open_stream(auth_client, mine, access) as answer:
        assert answer.status_code == 200
    assert open_stream(auth_client, others, access).status_code == 404
    assert auth_client.get(f"{API}/jobs/status/{mine}?access_token={access}").status_code == 401
    as_key = {"Authorization": f"Bearer {access}"}
    assert auth_client.get(f"{API}/jobs", headers=as_key).status_code == 401


def test_a_token_ends_with_its_key_and_with_its_time(auth_client: FlaskClient, monkeypatch):
    row, headers = create_key()
    job_id, access = create_completed_job(row.owner_id), request_token(auth_client, headers)
    with monkeypatch.context() as patch:
        patch.setattr(authentication, "TOKEN_SECONDS", -1)
        assert open_stream(auth_client, job_id, access).status_code == 401
    with transaction() as session:
        keys.revoke_key(session, row.prefix)
    assert open_stream(auth_client, job_id, access).status_code == 401


def test_a_token_of_our_own_making_or_of_nobody_opens_nothing(
    auth_client: FlaskClient, monkeypatch
):
    row, _ = create_key()
    job_id = create_completed_job(row.owner_id)
    forged = URLSafeTimedSerializer("guess", salt="access").dumps(str(row.id))
    other_use = URLSafeTimedSerializer(secrets.get_secret("links"), salt="audio").dumps(str(row.id))
    monkeypatch.setenv("AUTH", "off")
    settings.cache_clear()
    of_nobody = request_token(auth_client, {})
    monkeypatch.setenv("AUTH", "on")
    settings.cache_clear()
    for access in (forged, other_use, of_nobody, ""):
        assert open_stream(auth_client, job_id, access).status_code == 401


# Owners


def of_job(job_id: str, transcript_id: str, delivery_id: str) -> list[tuple[str, str]]:
    """Every request that is about one job."""
    return [
        ("GET", f"{API}/jobs/status/{job_id}"),
        ("GET", f"{API}/jobs/stream/{job_id}"),
        ("GET", f"{API}/jobs/result/{job_id}"),
        ("GET", f"{API}/jobs/result/{job_id}/srt"),
        ("GET", f"{API}/jobs/artefacts/{job_id}"),
        ("GET", f"{API}/jobs/artefacts/{job_id}/transcription.srt"),
        ("GET", f"{API}/jobs/{job_id}/deliveries"),
        ("GET", f"/status/{job_id}"),
        ("POST", f"{API}/jobs/{job_id}/deliveries/{delivery_id}/replay"),
        ("POST", f"{API}/jobs/{job_id}/cancel"),
        ("POST", f"{API}/jobs/{job_id}/retry"),
        ("PATCH", f"{API}/transcripts/{transcript_id}/speakers"),
        ("PATCH", f"{API}/transcripts/{transcript_id}/segments/0"),
        ("DELETE", f"{API}/jobs/{job_id}"),
    ]


def delivery(job_id: str) -> str:
    row = DeliveryRow(
        id=uuid.uuid4(), job_id=job_id, event="job.completed", url="https://example.org/",
        payload="{}", state=DeliveryState.DELIVERED, created_at=clock.utc_now(),
    )  # fmt: skip
    with transaction() as session:
        session.add(row)
    return str(row.id)


def asked(browser: FlaskClient, method: str, url: str, headers: dict[str, str]) -> int:
    bodies = {"speakers": {"names": {"0": "Ana"}}, "0": {"text": "Hello"}}
    body = bodies[url.rpartition("/")[2]] if method == "PATCH" else None
    with browser.open(url, method=method, headers=headers, json=body) as answer:
        return answer.status_code


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE])
@pytest.mark.parametrize("owned", [True, False])
def test_a_job_of_another_is_not_there(auth_client: FlaskClient, scope: Scope, owned: bool):
    job_id = create_completed_job(uuid.uuid4() if owned else None)
    with read_session() as session:
        transcript_id = str(lifecycle.get_job(session, job_id).transcript_id)
    _, mine = create_key(scope)
    for method, url in of_job(job_id, transcript_id, delivery(job_id)):
        expected = 403 if scope is Scope.READ and method != "GET" else 404
        assert asked(auth_client, method, url, mine) == expected, url
    assert auth_client.get(f"{API}/jobs", headers=mine).json["jobs"] == []


def test_the_table_above_knows_every_route_about_a_job(auth_client: FlaskClient):
    about = {(method, rule) for method, rule in rules(auth_client) if "<job_id>" in rule}
    table = {
        (method, url.replace("/srt", "/<format>").replace("transcription.srt", "<path:name>"))
        for method, url in of_job("<job_id>", "<transcript_id>", "<delivery_id>")
    }
    assert about <= table


def test_a_job_is_seen_by_its_owner_its_owners_next_key_and_administrators(
    auth_client: FlaskClient,
):
    old, _ = create_key()
    job_id = create_completed_job(old.owner_id)
    for row_headers in (create_key(same_owner_as=old.prefix), create_key(Scope.ADMIN)):
        listed = auth_client.get(f"{API}/jobs", headers=row_headers[1]).json["jobs"]
        assert [one["job_id"] for one in listed] == [job_id]
        url = f"{API}/jobs/result/{job_id}"
        assert asked(auth_client, "GET", url, row_headers[1]) == 200


@pytest.mark.parametrize("kind", ["sessions", "contexts"])
def test_a_session_or_context_of_another_is_not_there(auth_client: FlaskClient, kind: str):
    _, theirs = create_key()
    made = auth_client.post(f"{API}/{kind}", json={"name": "Monday"}, headers=theirs)
    where = made.headers["Location"]
    _, mine = create_key()
    assert auth_client.get(where, headers=theirs).status_code == 200
    assert auth_client.get(f"{API}/{kind}", headers=mine).json[kind] == []
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("PATCH", {}), ("DELETE", None)):
        assert auth_client.open(where, method=method, json=body, headers=mine).status_code == 404


@pytest.mark.parametrize("kind", ["session", "context"])
def test_a_job_may_not_name_what_is_another_owners(auth_client: FlaskClient, kind: str):
    _, theirs = create_key()
    made = auth_client.post(f"{API}/{kind}s", json={"name": "Monday"}, headers=theirs).json
    field = f"{kind}_id"

    def submit(row_id: str, headers: dict[str, str]) -> TestResponse:
        form = {"file": (build_recording(), "a.wav"), field: row_id}
        return auth_client.post(f"{API}/jobs/transcribe", data=form, headers=headers)

    refused = submit(made[field], create_key()[1])
    assert (refused.status_code, refused.json["field"]) == (422, field)
    assert storage().list_keys("jobs/") == []
    assert submit(made[field], theirs).status_code == 202
    assert submit(made[field], create_key(Scope.ADMIN)[1]).status_code == 202
    assert submit(str(uuid.uuid4()), create_key()[1]).status_code == 202, (
        "unknown ones are the caller's"
    )


def test_a_new_job_belongs_to_the_key_that_sent_it(auth_client: FlaskClient):
    row, headers = create_key()
    form = {"file": (build_recording(), "a.wav")}
    answer = auth_client.post(f"{API}/jobs/transcribe", data=form, headers=headers)
    with read_session() as session:
        job = lifecycle.get_job(session, answer.json["job_id"], owner_id=row.owner_id)
        assert job.transcript.owner_id == row.owner_id


# When keys are asked for


@pytest.mark.parametrize(
    ("environ", "needed"),
    [
        ({}, False),
        ({"SERVER_NAME": "127.0.0.2"}, False),
        ({"SERVER_NAME": "::1", "HTTP_HOST": "[::1]:8000"}, False),
        ({"SERVER_NAME": "0.0.0.0"}, True),
        ({"SERVER_NAME": "::"}, True),
        ({"SERVER_NAME": "192.168.1.5"}, True),
        ({"SERVER_NAME": ""}, True),
        ({"SERVER_NAME": "example.org"}, True),
        ({"HTTP_HOST": "example.org"}, True),
        ({"HTTP_HOST": "[::1"}, True),
        ({"HTTP_HOST": "localhost.example.org:8000"}, True),
        ({"HTTP_X_FORWARDED_FOR": "192.0.2.1"}, True),
        ({"HTTP_FORWARDED": "for=192.0.2.1"}, True),
        ({"HTTP_VIA": "1.1 proxy"}, True),
        ({"HTTP_X_FORWARDED_HOST": "example.org"}, True),
        ({"HTTP_X_FORWARDED_PROTO": "https"}, True),
        ({"HTTP_CF_CONNECTING_IP": "192.0.2.1"}, True),
        ({"HTTP_TRUE_CLIENT_IP": "192.0.2.1"}, True),
        ({"HTTP_HOST": "localhost,example.org"}, True),
        ({"HTTP_HOST": "localhost@example.org"}, True),
    ],
)
def test_auto_asks_for_keys_unless_all_is_on_this_machine(environ: dict[str, str], needed: bool):
    assert exposure.is_key_required({**NOBODY, **environ}) is needed


def test_auto_knows_a_unix_socket_by_the_socket_itself():
    with socket.socket(socket.AF_UNIX) as path, socket.socket() as port:
        # There the server takes its name from what the caller says.
        environ = {"SERVER_NAME": "localhost", "HTTP_HOST": "localhost"}
        assert not exposure.is_key_required({**environ, "gunicorn.socket": path})
        environ["SERVER_NAME"] = "0.0.0.0"
        assert exposure.is_key_required({**environ, "gunicorn.socket": port})


@pytest.mark.parametrize(("auth", "status"), [("off", 200), ("on", 401), ("auto", 401)])
def test_the_setting_says_it_for_a_service_that_others_reach(monkeypatch, auth: str, status: int):
    monkeypatch.setenv("AUTH", auth)
    settings.cache_clear()
    answer = (
        create_app().test_client().get(f"{API}/jobs", environ_overrides={"SERVER_NAME": "0.0.0.0"})
    )
    assert answer.status_code == status


def test_once_there_is_a_key_it_is_asked_for_on_this_machine_too():
    browser = create_app().test_client()
    assert browser.get(f"{API}/jobs").status_code == 200
    row, headers = create_key()
    assert browser.get(f"{API}/jobs").status_code == 401
    assert browser.get(f"{API}/jobs", headers=headers).status_code == 200
    with transaction() as session:
        keys.revoke_key(session, row.prefix)
    assert browser.get(f"{API}/jobs").status_code == 401, "the last one does not open the door"


@pytest.mark.parametrize("address", [("0.0.0.0", 8000), ("::", 8000, 0, 0), ("example.org", 80)])
def test_a_service_that_others_reach_does_not_start_without_a_key(address):
    with pytest.raises(SettingsError, match=r"transcribe keys create.*AUTH=off"):
        exposure.refuse_unguarded([("127.0.0.1", 8000), address])
    create_key(expires_at=clock.utc_now() - timedelta(days=1))
    with pytest.raises(SettingsError):
        exposure.refuse_unguarded([address])
    create_key()
    exposure.refuse_unguarded([address])


@pytest.mark.parametrize("auth", ["on", "off"])
def test_a_service_that_was_told_starts_without_a_key(monkeypatch, auth: str):
    monkeypatch.setenv("AUTH", auth)
    settings.cache_clear()
    exposure.refuse_unguarded([("0.0.0.0", 8000)])


@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("::1", 1, 0, 0), "/run/x.sock", b"\0x"])
def test_a_service_of_this_machine_alone_starts_without_a_key(address):
    exposure.refuse_unguarded([address])
