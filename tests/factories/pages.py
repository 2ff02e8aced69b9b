"""The page at ``/``, used as people do, in a browser."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import SAMPLE, playwright

#: Evaluates to the place of the player, in seconds.
PLAYER_TIME = "() => document.getElementById('media').currentTime"

_expect = playwright.expect


def send_sample(page: Any) -> str:
    """Send the sample; return the id of its job."""
    page.set_input_files("#files", SAMPLE)
    page.click("#send")
    page.wait_for_url("**/#/jobs/*")
    return str(page.url.rpartition("/")[2])


def expect_done(page: Any) -> None:
    """Wait until the job that is shown is done and its transcript is there."""
    _expect(page.locator("#job-badge")).to_have_text("done")
    _expect(page.locator("#transcript li").first).to_be_visible()
