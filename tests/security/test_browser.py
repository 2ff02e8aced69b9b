"""A real browser that has a page of another site open. Skipped where there is none."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from tests.security.conftest import JOBS, SESSIONS, Serve, Served

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed; 'make test-browser' does it"
)

REBOUND = "rebound.example"
#: As root runs a browser; and a name of strangers that leads to this machine.
FLAGS = ("--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1")
NAMES = ("chromium", "chromium-browser", "google-chrome")

#: Sends what no browser asks about beforehand, and says what became of it.
WRITE = """async ([url, path, mode]) => {
    const form = new FormData();
    form.append("file", new Blob([new Uint8Array(9999)]), "a.wav");
    try {
        const answer = await fetch(url + path, {method: "POST", body: form, mode});
        return answer.type + " " + answer.status;
    } catch (error) { return "refused"; }
}"""
READ = """async ([url, path]) => {
    try { return (await (await fetch(url + path)).text()).length; }
    catch (error) { return "refused"; }
}"""
CREATE = """async ([url, path]) => {
    const body = JSON.stringify({name: "Monday"});
    const headers = {"Content-Type": "application/json"};
    try { return (await fetch(url + path, {method: "POST", body, headers})).status; }
    catch (error) { return "refused"; }
}"""
FRAME = """(url) => new Promise(done => {
    const frame = document.createElement("iframe");
    frame.src = url + "/";
    frame.onload = () => {
        try { done(frame.contentDocument ? "empty" : "kept apart"); }
        catch (error) { done("kept apart"); }
    };
    document.body.append(frame);
})"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Kittens</title><body>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A site of others, on this machine but on a port of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here: install one (apt-get install chromium) or name it: CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def jobs_of(served: Served) -> list[dict]:
    found: list[dict] = httpx2.get(f"{served.url}{JOBS}").json()["jobs"]
    return found


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_page_of_another_port_makes_no_job(served: Served, elsewhere: str, page: Any, name: str):
    url = f"http://{name}:{served.port}"
    page.goto(elsewhere)
    for mode in ("no-cors", "cors"):
        page.evaluate(WRITE, [url, f"{JOBS}/transcribe", mode])
        page.evaluate(WRITE, [url, f"{JOBS}/{'0' * 32}/cancel", mode])
    assert page.evaluate(CREATE, [url, SESSIONS]) == "refused"
    assert page.evaluate(READ, [url, JOBS]) == "refused"
    assert jobs_of(served) == []
    assert '"status": 202' not in served.log.read_text()
    assert '"status": 403' in served.log.read_text(), "they came, and were refused"


def test_a_form_of_another_site_makes_nothing(served: Served, elsewhere: str, page: Any):
    page.goto(elsewhere)
    page.set_content(
        f'<form method="post" action="{served.url}{SESSIONS}" enctype="text/plain">'
        '<input name="{&quot;name&quot;: &quot;" value="&quot;}"></form>'
    )
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert "cross_origin" in page.content()
    assert httpx2.get(f"{served.url}{SESSIONS}").json()["sessions"] == []


def test_a_name_that_leads_here_reads_and_writes_nothing(served: Served, page: Any):
    url = f"http://{REBOUND}:{served.port}"
    answer = page.goto(url)
    assert answer.status == 421
    # The refusal has a policy too, by which its page may ask for nothing.
    assert page.evaluate(CREATE, [url, SESSIONS]) in (421, "refused")
    assert httpx2.get(f"{served.url}{SESSIONS}").json()["sessions"] == []


def test_no_page_of_ours_is_shown_in_theirs(served: Served, elsewhere: str, page: Any):
    page.goto(elsewhere)
    told = []
    page.on("console", lambda said: told.append(said.text))
    page.evaluate(FRAME, served.url)
    assert any("frame" in one.lower() for one in told)


def test_our_own_page_writes(served: Served, page: Any):
    page.goto(served.url)
    assert page.evaluate(CREATE, [served.url, SESSIONS]) == 201


def test_a_page_of_a_configured_site_writes_and_reads(serve: Serve, elsewhere: str, page: Any):
    served = serve(CORS_ORIGINS=elsewhere)
    page.goto(elsewhere)
    assert page.evaluate(CREATE, [served.url, SESSIONS]) == 201
    assert page.evaluate(READ, [served.url, JOBS]) > 0
