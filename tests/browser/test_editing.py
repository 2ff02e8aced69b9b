"""Texts and speakers of segments are corrected on the page, where they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.conftest import playwright, wait_until
from tests.factories.pages import PLAYER_TIME
from transcribe_api.client import Client

expect = playwright.expect

Opened = Callable[..., Any]


def text_of(page: Any, number: int) -> Any:
    return page.locator("#transcript li").nth(number).locator(":scope > p")


def told(client: Client, job_id: str, number: int) -> dict[str, Any]:
    segment: dict[str, Any] = client.result(job_id)["segments"][number]
    return segment


def test_a_text_is_corrected_in_place_and_undone(opened: Opened, client: Client, done: str):
    before = told(client, done, 2)
    page = opened(f"#/jobs/{done}")
    page.locator("#transcript li").nth(2).hover()
    page.get_by_role("button", name="Edit the text at").nth(2).click()
    field = page.get_by_role("textbox", name="Text at")
    expect(field).to_have_value(before["text"])
    field.fill("What <b>she</b> said,\nword for word.")
    page.keyboard.press("Enter")
    expect(text_of(page, 2)).to_contain_text("What <b>she</b> said, word for word. edited")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as SRT").click()
    assert "word for word." in saved.value.path().read_text()
    page.fill("#sought", "for word")
    expect(page.locator("#found")).to_have_text("1 of 1")
    page.reload()
    expect(text_of(page, 2)).to_contain_text("What <b>she</b> said, word for word. edited")
    page.locator("#transcript li").nth(2).hover()
    page.get_by_role("button", name="Edit the text at").nth(2).click()
    field.fill("")
    field.blur()
    expect(text_of(page, 2)).to_contain_text("nothing said")
    page.get_by_role("button", name="Undo").click()
    expect(text_of(page, 2)).to_contain_text("What <b>she</b> said, word for word. edited")
    page.locator("#transcript li").nth(2).hover()
    page.get_by_role("button", name="Edit the text at").nth(2).click()
    field.fill(before["text"])
    page.get_by_role("button", name="Save").click()
    expect(text_of(page, 2)).not_to_contain_text("edited")
    assert told(client, done, 2)["words"] == before["words"]


def who(page: Any, number: int, name: str) -> None:
    """Has somebody else say a segment."""
    page.locator("#transcript li").nth(number).hover()
    page.get_by_role("button", name="Edit the text at").nth(number).click()
    page.get_by_role("combobox", name="Speaker at").select_option(name)


def test_a_segment_is_given_to_another_speaker_and_undone(
    opened: Opened, client: Client, done: str
):
    before = told(client, done, 1)
    page = opened(f"#/jobs/{done}")
    line = page.locator("#transcript li").nth(1)
    expect(page.get_by_role("button", name=": give another name")).to_have_count(2)
    who(page, 1, "Somebody new")
    page.get_by_role("button", name="Save").click()
    expect(line).to_have_attribute("data-speaker", "2")
    expect(line.locator(".who")).to_have_text("SPEAKER_02")
    expect(page.get_by_role("button", name=": give another name")).to_have_count(3)
    assert {word["speaker_tag"] for word in told(client, done, 1)["words"]} == {2}
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as SRT").click()
    assert "SPEAKER_02" in saved.value.path().read_text()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name=": give another name")).to_have_count(2)
    assert told(client, done, 1) == before
    who(page, 1, "Not known")
    page.locator("#sought").focus()
    expect(line).to_have_attribute("data-speaker", "none")
    page.reload()
    expect(line).to_have_attribute("data-speaker", "none")
    who(page, 1, f"SPEAKER_{before['speaker_tag']:02d}")
    page.get_by_role("button", name="Save").click()
    expect(text_of(page, 1)).not_to_contain_text("edited")
    assert told(client, done, 1) == before


def test_a_speaker_that_somebody_else_gave_stays_where_only_the_text_was_changed(
    opened: Opened, client: Client, done: str
):
    before = told(client, done, 3)
    page = opened(f"#/jobs/{done}")
    page.locator("#transcript li").nth(3).hover()
    page.get_by_role("button", name="Edit the text at").nth(3).click()
    page.get_by_role("textbox", name="Text at").fill("Mine.")
    transcript_id = client.result(done)["transcript_id"]
    client.change_segment(transcript_id, 3, speaker_tag=2)
    page.keyboard.press("Enter")
    expect(page.locator(".editor [role=alert]")).to_contain_text("(SPEAKER_02)")
    page.keyboard.press("Enter")
    expect(text_of(page, 3)).to_contain_text("Mine.")
    assert (told(client, done, 3)["text"], told(client, done, 3)["speaker_tag"]) == ("Mine.", 2)
    back = {"text": before["text"], "speaker_tag": before["speaker_tag"]}
    assert client.change_segment(transcript_id, 3, **back) == before


def test_a_late_answer_does_not_hide_what_was_saved_meanwhile(
    opened: Opened, client: Client, done: str
):
    before = told(client, done, 2)["text"]
    page = opened(f"#/jobs/{done}")
    expect(text_of(page, 2)).to_have_text(before)
    held: list[tuple[Any, Any]] = []
    page.route(f"**/jobs/result/{done}", lambda route: held.append((route, route.fetch())))
    page.locator("#transcript li").nth(2).hover()
    page.get_by_role("button", name="Edit the text at").nth(2).click()
    page.get_by_role("textbox", name="Text at").fill("Mine.")
    transcript_id = client.result(done)["transcript_id"]
    client.change_segment(transcript_id, 2, text="Theirs.")
    page.keyboard.press("Enter")
    expect(page.locator(".editor [role=alert]")).to_contain_text("“Theirs.”")
    page.wait_for_function("() => true")  # lets the route be handled
    wait_until(lambda: bool(held) or page.wait_for_timeout(50))
    page.keyboard.press("Enter")
    expect(text_of(page, 2)).to_contain_text("Mine.")
    [(route, response)] = held
    with page.expect_response(f"**/jobs/result/{done}"):
        route.fulfill(response=response)
    page.wait_for_timeout(200)  # it would be shown by now
    expect(text_of(page, 2)).to_contain_text("Mine.")
    client.change_segment(transcript_id, 2, text=before)


def test_a_text_that_is_left_by_escape_stays(opened: Opened, client: Client, done: str):
    before = told(client, done, 1)
    page = opened(f"#/jobs/{done}")
    expect(text_of(page, 1)).to_have_text(before["text"])
    page.keyboard.press("n")
    wait_until(lambda: page.evaluate(PLAYER_TIME) > 0)
    page.keyboard.press("e")
    expect(page.get_by_role("textbox", name="Text at")).to_be_focused()
    page.keyboard.type("N? e k / ")
    page.keyboard.press("Escape")
    expect(text_of(page, 1)).to_have_text(before["text"])
    expect(page.get_by_role("button", name="Edit the text at").nth(1)).to_be_focused()
    assert told(client, done, 1) == before


def test_a_change_that_somebody_else_made_is_told(opened: Opened, client: Client, done: str):
    before = told(client, done, 0)["text"]
    page, other = opened(f"#/jobs/{done}"), opened(f"#/jobs/{done}")
    for one, text in ((page, "Mine."), (other, "Theirs.")):
        expect(text_of(one, 0)).to_have_text(before)
        one.get_by_role("button", name="Edit the text at").first.focus()
        one.keyboard.press("Enter")
        one.get_by_role("textbox", name="Text at").fill(text)
    other.keyboard.press("Enter")
    expect(text_of(other, 0)).to_contain_text("Theirs.")
    page.keyboard.press("Enter")
    expect(page.locator(".editor [role=alert]")).to_contain_text("“Theirs.”")
    expect(page.get_by_role("textbox", name="Text at")).to_have_value("Mine.")
    page.keyboard.press("Enter")
    expect(text_of(page, 0)).to_contain_text("Mine.")
    page.keyboard.press("e")
    page.get_by_role("textbox", name="Text at").fill(before)
    page.keyboard.press("Enter")
    expect(text_of(page, 0)).not_to_contain_text("edited")
