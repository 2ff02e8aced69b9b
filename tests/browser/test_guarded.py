"""The page of a service that asks for keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Seen, playwright
from tests.browser.test_page import is_done, send
from tests.integration.conftest import started
from tests.integration.test_guarded import key

expect = playwright.expect


@pytest.fixture
def guarded(tmp_path: Path) -> Any:
    with started(tmp_path, "--no-flower", AUTH="on") as running:
        yield running


def test_a_key_opens_everything_and_stands_in_no_address(
    guarded: Any, opened: Callable[..., Any], seen: Seen
):
    text = key(guarded.data_dir)
    page = opened(url=guarded.url)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.fill("#key-text", "tk_0123456789_wrong")
    page.click("#key-form [type=submit]")
    expect(page.locator("#key-wrong")).to_contain_text("is not valid")
    page.fill("#key-text", text)
    page.click("#key-form [type=submit]")
    expect(page.locator("#key")).to_be_hidden()
    send(page)
    is_done(page)
    page.reload()
    is_done(page)
    with page.expect_download():
        page.get_by_role("button", name="Download as SRT").click()
    assert any("access_token=" in url for url in asked)
    assert not any(text in url for url in asked)
