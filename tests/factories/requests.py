"""Requests: where they go, the client and the keys to send them with."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.access import keys
from core.access.keys import Scope
from core.db.models import ApiKeyRow
from core.db.transactions import transaction
from core.settings import settings
from transcribe_api.app import create_app

API = "/api/transcribe"
SUBMIT_URL = f"{API}/jobs/transcribe"
#: The beginning of a request, in the middle of a header.
UNFINISHED_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: a"


def create_client(monkeypatch: pytest.MonkeyPatch, **environment: str) -> FlaskClient:
    """Create a client of a service with these settings."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    return create_app().test_client()


def create_key(*scopes: Scope, **more) -> tuple[ApiKeyRow, dict[str, str]]:
    """Create a key; return it, and the headers that send it."""
    with transaction() as session:
        row, text = keys.create_key(session, "app", scopes or [Scope.WRITE], **more)
    return row, {"Authorization": f"Bearer {text}"}


def request_token(client: FlaskClient, headers: dict[str, str]) -> str:
    """Request an access token with the headers of a key."""
    return client.post(f"{API}/auth/token", headers=headers).json["access_token"]


def open_stream(client: FlaskClient, job_id: str, access_token: str) -> TestResponse:
    """Open the stream of a job's events with an access token."""
    url = f"{API}/jobs/stream/{job_id}"
    return client.get(url, query_string={"access_token": access_token})
