"""How the page looks in each of its states: pictures for people, in out/screens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import receiver
from tests.browser.conftest import PHONE, SAMPLE, RunningStack, playwright, wait_until
from tests.factories.pages import expect_done, send_sample
from tests.integration.conftest import started
from tests.receiver import Receiver
from transcribe_api.client import Client
from transcribe_api.client.calls import JOBS

expect = playwright.expect

SCREENS = Path(__file__).resolve().parents[2] / "out" / "screens"
DESK = {"viewport": {"width": 1360, "height": 900}}
NARROW = {**PHONE, "device_scale_factor": 2}

#: Words that are cut off, and what hangs out of the window.
CUT_OFF = """() => [...document.querySelectorAll("body *")].filter((one) => {
  const { left, right, width, height } = one.getBoundingClientRect();
  if (!width || !height || one.closest(".unseen, .skip, select, input, video")) return false;
  const style = getComputedStyle(one);
  const isCut = one.scrollWidth > one.clientWidth + 1 && style.overflowX !== "visible";
  const isOut = right > innerWidth + 1 || left < -1;
  return (isCut && !["auto", "scroll"].includes(style.overflowX)) || isOut;
}).map((one) => one.outerHTML.slice(0, 200))"""

Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A service that nobody has sent anything yet."""
    data_dir = tmp_path_factory.mktemp("fresh")
    with started(data_dir, "--no-flower", OUTGOING_ALLOW="127.0.0.1/32") as running:
        yield running


@pytest.fixture(scope="module")
def finished(fresh: RunningStack) -> str:
    with Client(fresh.url) as client:
        job = client.submit(SAMPLE)
        wait_until(lambda: client.status(job["job_id"])["status"] == "completed")
        client.name_speakers(job["transcript_id"], {0: "Anna", 1: "Robert"})
    return str(job["job_id"])


def keep(page: Any, name: str) -> None:
    """Makes the picture, once nothing moves any more, of what the window shows."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    assert page.evaluate(CUT_OFF) == []
    page.screenshot(path=SCREENS / f"{name}.png", animations="disabled")


def at_a_word(page: Any) -> None:
    """As if somebody listened, without the sound going on under the picture."""
    expect_done(page)
    expect(page.locator("#timeline")).to_have_css("height", "56px")
    page.locator("#transcript li").nth(1).locator("p span").nth(5).click()
    expect(page.locator(".lit")).to_be_visible()
    page.evaluate("() => document.getElementById('media').pause()")
    page.mouse.move(0, 0)


def test_empty(opened: Opened, fresh: RunningStack):
    page = opened(url=fresh.url, **DESK)
    expect(page.locator("#engines li").first).to_be_visible()
    expect(page.locator("#engines .load", has_text="process").first).to_be_visible()
    keep(page, "empty")


def test_running(opened: Opened, fresh: RunningStack):
    page = opened(url=fresh.url, **DESK)
    send_sample(page)
    expect(page.locator("#heard p").first).to_be_visible()
    expect(page.locator("#stages [aria-current]")).to_have_text("Transcribing")
    expect(page.locator("#percent")).to_have_text(re.compile(r"^[1-9]\d? %$"))
    expect(page.locator("#chunks")).to_have_text(re.compile(r"^\d of \d chunks$"))
    expect(page.locator("#left")).to_contain_text("left")
    keep(page, "running")
    expect_done(page)


def test_done(opened: Opened, fresh: RunningStack, finished: str):
    page = opened(f"#/jobs/{finished}", url=fresh.url, **DESK)
    at_a_word(page)
    keep(page, "done")
    page.keyboard.press("e")
    expect(page.get_by_role("combobox", name="Speaker at")).to_be_visible()
    keep(page, "editing")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    keep(page, "help")


def test_error(opened: Opened, fresh: RunningStack, receiver_of_sounds: Receiver):
    with Client(fresh.url) as client:
        where = {"source_url": f"{receiver_of_sounds.url}/interview.mp3"}
        failed = httpx2.post(f"{fresh.url}{JOBS}/transcribe", data=where).json()["job_id"]
        wait_until(lambda: client.status(failed)["status"] == "failed")
    page = opened(f"#/jobs/{failed}", url=fresh.url, **DESK)
    expect(page.locator("#job-error")).to_be_visible()
    expect(page.locator("#job-buttons").get_by_role("button", name="Try again")).to_be_visible()
    keep(page, "error")
    page.goto(f"{fresh.url}/#/")
    text = {"name": "notes.mp3", "mimeType": "audio/mpeg", "buffer": b"only words\n" * 50}
    page.set_input_files("#files", text)
    page.click("#send")
    expect(page.locator("#chosen [role=alert]")).to_be_visible()
    keep(page, "refused")


@pytest.fixture
def receiver_of_sounds() -> Iterator[Receiver]:
    """A host whose files are no recordings."""
    with receiver.listening() as host:
        host.answer = lambda handler, _: receiver.reply(handler, body=b"no sound" * 99)
        yield host


def test_phone(opened: Opened, fresh: RunningStack, finished: str):
    page = opened(url=fresh.url, **NARROW)
    expect(page.locator("#engines li").first).to_be_visible()
    keep(page, "phone-new")
    page.goto(f"{fresh.url}/#/jobs/{finished}")
    at_a_word(page)
    keep(page, "phone-reading")
    page.evaluate("() => scrollTo(0, 0)")
    keep(page, "phone")


def test_dark(opened: Opened, fresh: RunningStack, finished: str):
    page = opened(url=fresh.url, color_scheme="dark", **DESK)
    expect(page.locator("#engines li").first).to_be_visible()
    keep(page, "dark-new")
    page.goto(f"{fresh.url}/#/jobs/{finished}")
    at_a_word(page)
    keep(page, "dark")
