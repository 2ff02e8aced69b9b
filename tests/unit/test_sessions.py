"""Sessions over REST: made, listed by the page, changed and deleted."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from itertools import chain

import pytest
from flask.testing import FlaskClient

from core.db.models import SessionRow
from core.db.transactions import transaction
from core.settings import settings
from transcribe_api.app import create_app
from transcribe_api.http.requests import json_bodies

pytestmark = pytest.mark.usefixtures("database")

URL = "/api/transcribe/sessions"
NOBODY = f"{URL}/{uuid.UUID(int=0)}"


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def create(browser: FlaskClient, name: str = "Monday") -> str:
    answer = browser.post(URL, json={"name": name})
    assert answer.status_code == 201
    return answer.json["session_id"]


def pages(browser: FlaskClient, limit: int):
    """The ids of one page after the other, as a caller follows the cursors."""
    cursor = ""
    while cursor is not None:
        told = browser.get(URL, query_string={"limit": limit, "cursor": cursor}).json
        yield [one["session_id"] for one in told["sessions"]]
        cursor = told["next_cursor"]


def test_a_session_lives_from_post_to_delete(browser: FlaskClient):
    made = browser.post(URL, json={"name": "  Monday  "})
    assert made.status_code == 201
    where = made.headers["Location"]
    assert where == f"{URL}/{made.json['session_id']}"
    assert made.json["name"] == "Monday"
    assert made.json["created_at"].endswith("Z")
    assert browser.get(where).json == made.json

    for method, name in ((browser.put, "Tuesday"), (browser.patch, "Wednesday")):
        changed = method(where, json={"name": name})
        assert changed.status_code == 200
        assert changed.json["name"] == name
        assert changed.json["created_at"] == made.json["created_at"]
        assert changed.json["updated_at"] != made.json["updated_at"]
        assert browser.get(where).json == changed.json

    gone = browser.delete(where)
    assert (gone.status_code, gone.data) == (204, b"")
    assert browser.get(where).status_code == 404
    assert browser.delete(where).status_code == 404


def test_only_a_patch_may_say_nothing_and_changes_nothing(browser: FlaskClient):
    where = f"{URL}/{create(browser)}"
    before = browser.get(where).json
    answer = browser.patch(where, json={})
    assert (answer.status_code, answer.json) == (200, before)
    for refused in (browser.post(URL, json={}), browser.put(where, json={})):
        assert (refused.status_code, refused.json["field"]) == (422, "name")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "nothing\0after"}, "name"),
        ({"name": "two\u2028lines"}, "name"),
        ({"name": "Monday", "colour": "red"}, "colour"),
    ],
)
@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_a_wrong_body_names_its_field(browser: FlaskClient, method: str, body: dict, field: str):
    url = URL if method == "post" else f"{URL}/{create(browser)}"
    answer = getattr(browser, method)(url, json=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json["code"], answer.json["field"]) == ("invalid_input", field)
    assert answer.json["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"name"', b"\xff", b'{"name": "\\ud800"}', b"[" * 100_000],
)
def test_a_body_that_is_no_json_object_is_refused(browser: FlaskClient, body: bytes):
    answer = browser.post(URL, data=body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid_input"
    assert "JSON object" in answer.json["detail"]


def test_a_body_of_another_type_is_refused_since_any_page_can_send_it(browser: FlaskClient):
    answer = browser.post(URL, data='{"name": "Monday"}', content_type="text/plain")
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json["detail"]
    assert list(pages(browser, 10)) == [[]]


def test_a_body_that_is_too_large_is_not_read(browser: FlaskClient):
    body = b" " * (json_bodies.MAX_BODY_BYTES + 1)
    assert len(body) < settings().max_file_size
    answer = browser.post(URL, data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_body_that_is_wrong_all_over_is_refused_in_short(browser: FlaskClient):
    answer = browser.post(URL, json={str(number): 1 for number in range(20_000)})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    assert answer.json["detail"] == "the body has 20001 errors"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
@pytest.mark.parametrize(("url", "status"), [(NOBODY, 404), (f"{URL}/monday", 422)])
def test_an_id_is_unknown_or_none_at_all(browser: FlaskClient, method: str, url: str, status: int):
    body = {"json": {"name": "Monday"}} if method in ("put", "patch") else {}
    answer = getattr(browser, method)(url, **body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json.get("field") == (None if status == 404 else "session_id")


def test_pages_tell_every_session_once_newest_first(browser: FlaskClient):
    ids = [create(browser, str(number)) for number in range(7)]
    told = list(pages(browser, 3))
    assert [len(page) for page in told] == [3, 3, 1]
    assert list(chain(*told)) == ids[::-1]
    assert list(pages(browser, 7)) == [ids[::-1]], "a full last page has no empty one behind it"


def test_sessions_that_come_and_go_meanwhile_hide_and_double_no_other(browser: FlaskClient):
    ids = [create(browser, str(number)) for number in range(9)]
    told = []
    for page in pages(browser, 2):
        told += page
        create(browser, "new")
        browser.delete(f"{URL}/{page[-1]}")  # the place of the cursor stays, without its row
    assert told == ids[::-1]


def test_sessions_of_the_same_instant_are_told_once(browser: FlaskClient):
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    with transaction() as session:
        session.add_all([SessionRow(name=str(number), created_at=now) for number in range(5)])
    told = list(chain(*pages(browser, 2)))
    assert len(told) == len(set(told)) == 5


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=many", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("cursor=yesterday", "cursor"),
        (f"cursor={'A' * 28}", "cursor"),
        (f"cursor={'_' * 32}x", "cursor"),
        ("cursor=f" + "_" * 31, "cursor"),  # so many microseconds are no time
        ("cursor=%C3%A9", "cursor"),
    ],
)
def test_a_wrong_query_names_its_field(browser: FlaskClient, query: str, field: str):
    answer = browser.get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert answer.json["field"] == field
