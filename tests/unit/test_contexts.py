"""Contexts over REST: terms are checked one by one."""

from __future__ import annotations

import uuid

import pytest
from flask.testing import FlaskClient

from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")

URL = "/api/transcribe/contexts"
ROLES = {"agent": ["how may I help", "¿Algo más?"], "caller": ["my order"]}
TERMS = [{"phrase": "metformin", "boost": 20.0}, {"phrase": "مت‌فورمین", "boost": -3.5}]


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def create(browser: FlaskClient, name: str = "Medicines", terms: list | None = None) -> str:
    answer = browser.post(URL, json={"name": name, "terms": TERMS if terms is None else terms})
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def term(number: int = 0, **other) -> dict:
    return {"phrase": f"term {number}", "boost": 1, **other}


def test_a_context_lives_from_post_to_delete(browser: FlaskClient):
    made = browser.post(URL, json={"name": " Medicines ", "terms": TERMS})
    assert made.status_code == 201
    where = made.headers["Location"]
    assert where == f"{URL}/{made.json['context_id']}"
    assert (made.json["name"], made.json["terms"]) == ("Medicines", TERMS)
    assert browser.get(where).json == made.json
    assert browser.get(URL).json == {"contexts": [made.json], "next_cursor": None}
    assert browser.delete(where).status_code == 204
    assert browser.get(where).status_code == 404


def test_terms_may_be_none_or_a_thousand(browser: FlaskClient):
    empty = browser.post(URL, json={"name": "Later"})
    assert (empty.status_code, empty.json["terms"]) == (201, [])
    longest = "\U0001f600" * 196
    largest = [term(phrase=f"{number:04}{longest}") for number in range(1000)]
    assert len(browser.get(create(browser, terms=largest)).json["terms"]) == 1000


@pytest.mark.parametrize("roles", [{}, ROLES, "consultation"])
def test_roles_are_spelled_out_or_named(browser: FlaskClient, roles: object):
    made = browser.post(URL, json={"name": "Calls", "roles": roles})
    assert (made.status_code, made.json["roles"]) == (201, roles)
    where = made.headers["Location"]
    assert browser.patch(where, json={"name": "Our calls"}).json["roles"] == roles
    assert browser.get(where).json["roles"] == roles
    assert browser.put(where, json={"name": "Calls"}).json["roles"] == {}


def test_a_context_that_says_nothing_of_roles_has_none(browser: FlaskClient):
    assert browser.get(create(browser)).json["roles"] == {}


@pytest.mark.parametrize(
    ("body", "name", "terms"),
    [
        ({}, "Medicines", TERMS),
        ({"name": "Drugs"}, "Drugs", TERMS),
        ({"terms": []}, "Medicines", []),
        ({"name": "Drugs", "terms": [term()]}, "Drugs", [term()]),
    ],
)
def test_a_patch_changes_what_it_says(browser: FlaskClient, body: dict, name: str, terms: list):
    where = create(browser)
    answer = browser.patch(where, json=body)
    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["terms"]) == (name, terms)
    assert browser.get(where).json == answer.json


def test_a_put_says_everything_anew(browser: FlaskClient):
    where = create(browser)
    answer = browser.put(where, json={"name": "Drugs"})
    assert (answer.status_code, answer.json["name"], answer.json["terms"]) == (200, "Drugs", [])
    assert browser.get(where).json == answer.json


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"terms": None}, "terms"),
        ({"terms": {"phrase": "a", "boost": 1}}, "terms"),
        ({"terms": [term(number) for number in range(1001)]}, "terms"),
        ({"terms": ["metformin"]}, "terms.0"),
        ({"terms": [term(), {"phrase": "a"}]}, "terms.1.boost"),
        ({"terms": [term(), term(1), term(2), term(3, boost=100.5)]}, "terms.3.boost"),
        ({"terms": [term(boost=-101)]}, "terms.0.boost"),
        ({"terms": [term(boost="5")]}, "terms.0.boost"),
        ({"terms": [term(boost=True)]}, "terms.0.boost"),
        ({"terms": [term(boost=float("nan"))]}, "terms.0.boost"),
        ({"terms": [term(boost=float("inf"))]}, "terms.0.boost"),
        ({"terms": [term(phrase=" ")]}, "terms.0.phrase"),
        ({"terms": [term(phrase="x" * 201)]}, "terms.0.phrase"),
        ({"terms": [term(phrase="a\tb")]}, "terms.0.phrase"),
        ({"terms": [term(weight=1)]}, "terms.0.weight"),
        ({"terms": [term(), term(1), term(phrase=" term 0 ")]}, "terms.2.phrase"),
        ({"roles": None}, "roles"),
        ({"roles": []}, "roles"),
        ({"roles": "courtroom"}, "roles"),
        ({"roles": {f"role {number}": ["a"] for number in range(11)}}, "roles"),
        ({"roles": {"agent": "help"}}, "roles.agent"),
        ({"roles": {"agent": []}}, "roles.agent"),
        ({"roles": {"agent": [f"cue {number}" for number in range(301)]}}, "roles.agent"),
        ({"roles": {"": ["help"]}}, "roles."),
        ({"roles": {" agent": ["help"]}}, "roles. agent"),
        ({"roles": {"x" * 51: ["help"]}}, f"roles.{'x' * 50}"),
        ({"roles": {"agent": ["help", 5]}}, "roles.agent.1"),
        ({"roles": {"agent": ["help", " "]}}, "roles.agent.1"),
        ({"roles": {"agent": ["..."]}}, "roles.agent.0"),
        ({"roles": {"agent": ["x" * 201]}}, "roles.agent.0"),
        ({"roles": {"agent": ["Olá"], "caller": ["b", "ola!"]}}, "roles.caller.1"),
        ({"words": []}, "words"),
    ],
)
@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_a_wrong_body_names_its_field(browser: FlaskClient, method: str, body: dict, field: str):
    whole = {"name": "Medicines", **body}
    where = create(browser)
    before = browser.get(where).json
    answer = getattr(browser, method)(URL if method == "post" else where, json=whole)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json["code"], answer.json["field"]) == ("invalid_input", field)
    assert browser.get(where).json == before


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
@pytest.mark.parametrize(("name", "status"), [(str(uuid.UUID(int=0)), 404), ("drugs", 422)])
def test_an_id_is_unknown_or_none_at_all(browser: FlaskClient, method: str, name: str, status: int):
    body = {"json": {"name": "Drugs"}} if method in ("put", "patch") else {}
    answer = getattr(browser, method)(f"{URL}/{name}", **body)
    assert answer.status_code == status
    assert answer.json.get("field") == (None if status == 404 else "context_id")


def test_pages_tell_every_context_once_while_others_are_added(browser: FlaskClient):
    ids = [create(browser, str(number)).rpartition("/")[2] for number in range(5)]
    told, cursor = [], ""
    while cursor is not None:
        page = browser.get(URL, query_string={"limit": 2, "cursor": cursor}).json
        told += [one["context_id"] for one in page["contexts"]]
        create(browser, "new")
        cursor = page["next_cursor"]
    assert told == ids[::-1]
