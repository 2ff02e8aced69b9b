"""A browser in front of a running service. Skipped, with a sentence, where there is no browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import (  # noqa: F401
    SAMPLE,
    RunningStack,
    client,
    stack,
    wait_until,
)
from transcribe_api.client import Client

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed; 'make test-browser' does it"
)

#: The first is what root runs a browser with; the rest keeps it from asking others for anything,
#: and gives it a microphone that beeps.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
#: Milliseconds for what a busy machine takes.
PATIENCE = 90_000

playwright.expect.set_options(timeout=PATIENCE)


@dataclass
class Seen:
    """What a page did that a user does not see."""

    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here: install one (apt-get install chromium) or name it: CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def opened(chromium: Any, stack: RunningStack, seen: Seen) -> Iterator[Callable[..., Any]]:  # noqa: F811
    """Opens pages, on whatever device is wanted; none may complain or ask another machine."""
    contexts = []

    def open_page(path: str = "", url: str = "", **device: Any) -> Any:
        context = chromium.new_context(locale="en-GB", **device)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        watch(page, url or stack.url, seen)
        page.goto(f"{url or stack.url}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen.elsewhere == []
    assert seen.errors == []


def watch(page: Any, url: str, seen: Seen) -> None:
    ours = (url + "/", "blob:", "data:")
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda said: _note(said, seen))
    page.on("request", lambda sent: sent.url.startswith(ours) or seen.elsewhere.append(sent.url))


def _note(said: Any, seen: Seen) -> None:
    # The browser's own remark on an answer or a connection; pages cannot help it.
    if said.type in ("error", "warning") and "Failed to load resource" not in said.text:
        seen.errors.append(said.text)


@pytest.fixture(scope="session")
def done(stack: RunningStack) -> str:  # noqa: F811
    """A finished job; who changes names or texts in it changes them back."""
    with Client(stack.url) as ours:
        job_id: str = ours.submit(SAMPLE)["job_id"]
        wait_until(lambda: ours.status(job_id)["status"] == "completed")
        return job_id


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which finds what keeps people from using a page."""
    folder = tmp_path_factory.mktemp("axe")
    words = ["npm", "install", "--no-save", "--no-audit", "--prefix", str(folder), "axe-core@4"]
    if shutil.which("npm") is None:
        pytest.skip("npm is not here to fetch axe-core with")
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if ran.returncode:
        pytest.skip(f"axe-core cannot be fetched: {ran.stderr.strip()[-200:]}")
    return Path(folder, "node_modules", "axe-core", "axe.min.js").read_text()
