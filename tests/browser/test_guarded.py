"""The page of a service that asks for keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Seen, playwright
from tests.factories.pages import expect_done, send_sample
from tests.factories.processes import create_key_on_disk
from tests.integration.conftest import started

expect = playwright.expect


@pytest.fixture
def guarded(tmp_path: Path) -> Any:
    with started(tmp_path, "--no-flower", AUTH="on") as running:
        yield running


def test_a_key_opens_everything_and_stands_in_no_address(
    guarded: Any, opened: Callable[..., Any], seen: Seen
):
    text = create_key_on_disk(guarded.data_dir)
    page = opened(url=guarded.url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.fill("#key-text", "tk_0123456789_wrong")
    page.click("#key-form [type=submit]")
    expect(page.locator("#key-wrong")).to_contain_text("is not valid")
    page.fill("#key-text", text)
    page.click("#key-form [type=submit]")
    expect(page.locator("#key")).to_be_hidden()
    send_sample(page)
    expect_done(page)
    page.reload()
    expect_done(page)
    with page.expect_download():
        page.get_by_role("button", name="Download as SRT").click()
    assert any("access_token=" in url for url in asked)
    assert not any(text in url for url in asked)
