"""The page at / belongs together, asks nobody else for anything, and comes with a tight policy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.settings import settings
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")

FOLDER = Path(create_app.__code__.co_filename).parent / "static" / "page"
HTML = (FOLDER / "index.html").read_text()
SCRIPTS = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.js"))}
TOLD = "\n".join(SCRIPTS.values())
WORDS = {path.stem: json.loads(path.read_text()) for path in (FOLDER / "words").glob("*.json")}
#: Namespaces of XML are names, and nobody asks them for anything.
NAMESPACE = "http://www.w3.org/2000/svg"
#: Lines that a script may have before it must be taken apart.
LONGEST = 300


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def got(browser: FlaskClient, path: str = "/") -> TestResponse:
    with browser.get(path) as answer:  # closes the file that is sent
        return answer


def policy(browser: FlaskClient) -> dict[str, str]:
    told = got(browser).headers["Content-Security-Policy"]
    return {name: rest for name, _, rest in (one.partition(" ") for one in told.split("; "))}


def test_the_page_comes_with_a_policy_that_lets_nothing_else_in(browser: FlaskClient):
    answer = got(browser)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    told = policy(browser)
    assert told["default-src"] == "'none'"
    assert told["script-src"] == told["style-src"] == told["connect-src"] == "'self'"
    assert told["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "microphone=(self)" in answer.headers["Permissions-Policy"]


def test_the_page_is_open_where_a_key_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTH", "on")
    settings.cache_clear()
    browser = create_app().test_client()
    assert got(browser).status_code == 200
    assert got(browser, "/static/page/app.js").status_code == 200
    assert browser.get("/api/transcribe/jobs").status_code == 401


@pytest.mark.parametrize(
    ("public", "media"),
    [
        (None, "'self' blob: http://minio:9000"),
        ("https://files.example.com/", "'self' blob: https://files.example.com"),
        ("none", "'self' blob:"),
    ],
)
def test_recordings_may_come_from_the_storage(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch, public: str | None, media: str
):
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"MINIO_{name}", "minio:9000")
    if public:
        monkeypatch.setenv("MINIO_PUBLIC_URL", public)
    settings.cache_clear()
    assert policy(browser)["media-src"] == media


def test_everything_that_the_page_names_is_there(browser: FlaskClient):
    named = re.findall(r'(?:src|href)="(static/[^"]+)"', HTML)
    imported = re.findall(r'from "\./([\w.]+)"', TOLD)
    assert len(named) >= 4
    for path in {*named, *(f"static/page/{one}" for one in imported)}:
        assert got(browser, f"/{path}").status_code == 200, path


def test_nothing_is_asked_for_elsewhere():
    for path in FOLDER.rglob("*.*"):
        told = path.read_text().replace(NAMESPACE, "")
        assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]", told), path.name


def test_neither_scripts_nor_styles_stand_in_the_page():
    assert re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=", HTML) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_elements_of_texts(name: str):
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function"
    assert re.findall(ways, SCRIPTS[name]) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_and_says_what_it_is_for(name: str):
    assert SCRIPTS[name].startswith("// ")
    assert len(SCRIPTS[name].splitlines()) <= LONGEST


def test_both_languages_say_the_same():
    english, portuguese = WORDS["en"], WORDS["pt"]
    assert english.keys() == portuguese.keys()
    for key, text in english.items():
        braces = set(re.findall(r"{\w+}", text))
        assert braces == set(re.findall(r"{\w+}", portuguese[key])), key


def test_every_text_that_is_said_is_known_and_every_one_that_is_known_is_said():
    known = {re.sub(r"\.(one|other)$", "", key) for key in WORDS["en"]}
    rooms = "|".join(sorted({key.partition(".")[0] for key in known}))
    said = set(re.findall(rf'"((?:{rooms})\.[a-z_0-9]+)"', TOLD + HTML))
    said |= set(re.findall(r'data-t[\w-]*="([^"]+)"', HTML))
    # Of some the end is a state or an action.
    begun = re.findall(rf"`({rooms})\.\$\{{\w+\}}(\w*)`", TOLD)
    assert said <= known
    left = known - said
    assert [
        one for one in left if not any(re.fullmatch(rf"{a}\.\w+{b}", one) for a, b in begun)
    ] == []


def test_every_element_that_a_script_looks_for_is_there_once():
    there = re.findall(r'\bid="([^"]+)"', HTML)
    assert len(there) == len(set(there))
    lists = re.findall(r"for \(const id of \[([^\]]+)\]\)", TOLD)
    sought = re.findall(r'\$\("([^"]+)"\)', TOLD) + re.findall(r'"([\w-]+)"', ",".join(lists))
    assert set(sought) <= set(there)


def test_labels_belong_to_fields_that_are_there():
    there = set(re.findall(r'\bid="([^"]+)"', HTML))
    assert set(re.findall(r'(?:for|aria-labelledby|list)="([^"]+)"', HTML)) <= there
