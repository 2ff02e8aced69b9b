"""/docs needs no other machine, and what is asked for in an odd way is answered plainly."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import transcribe_api
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")

STATIC = Path(transcribe_api.__file__).parent / "static"


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


@pytest.fixture
def page(browser: FlaskClient) -> Iterator[TestResponse]:
    with browser.get("/docs") as answer:
        yield answer


def test_the_page_loads_only_what_is_here(page: TestResponse, browser: FlaskClient):
    assert page.mimetype == "text/html"
    assert "://" not in page.text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 4
    for url in loaded:
        with browser.get(url) as answer:
            assert answer.status_code == 200


def test_what_it_loads_asks_no_other_machine():
    assert "://" not in (STATIC / "docs.js").read_text()
    style = (STATIC / "swagger-ui" / "swagger-ui.css").read_text()
    assert not re.search(r"url\((?![\"']?data:)|@import", style)


def test_the_browser_would_not_let_it(page: TestResponse):
    policy = page.headers["Content-Security-Policy"]
    told = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert told["default-src"] == "'none'"
    assert told["script-src"] == told["connect-src"] == "'self'"
    assert "://" not in policy


def test_what_is_not_ours_has_its_licence_beside_it():
    there = {path.name for path in (STATIC / "swagger-ui").iterdir()}
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= there


@pytest.mark.parametrize("url", ["/api/transcribe//jobs", "/healthz/", "/\x00", "/%ff"])
def test_what_is_not_there_is_looked_for_nowhere_else(browser: FlaskClient, url: str):
    answer = browser.get(url)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_another_method_is_refused_with_those_that_are_allowed(browser: FlaskClient):
    answer = browser.patch("/healthz")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_a_part_of_a_form_may_have_no_name(browser: FlaskClient):
    body = b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"
    answer = browser.post(
        "/api/transcribe/jobs/transcribe",
        data=body,
        content_type="multipart/form-data; boundary=x",
        headers={"Idempotency-Key": "once"},
    )
    assert (answer.status_code, answer.json["code"]) == (422, "file_missing")


def test_what_is_no_http_is_answered_like_all_errors():
    from transcribe_api.gunicorn_worker import write_problem

    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_problem(ours, 414, "URI Too Long", "the address has 5000 characters")
        ours.close()
        head, _, body = theirs.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 414 URI Too Long\r\n")
    assert b"Content-Type: application/problem+json" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'"code": "uri_too_long"' in body
