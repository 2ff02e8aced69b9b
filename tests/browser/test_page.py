"""The page as people use it: in a browser, with real jobs."""

from __future__ import annotations

import base64
import re
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.breakable_proxy import BreakableProxy
from tests.browser.conftest import PHONE, SAMPLE, RunningStack, playwright, wait_until
from tests.factories.pages import PLAYER_TIME, expect_done, send_sample
from transcribe_api.client import Client
from transcripts.warning import TranscriptWarning, WarningCode, to_json

expect = playwright.expect

#: A file that a user dragged here, as a browser hands it over.
DRAGGED = """(content) => {
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  const dragged = new DataTransfer();
  dragged.items.add(new File([bytes], "talk <b>one.flac", { type: "audio/flac" }));
  return dragged;
}"""
#: What is heard and what the job is said to be, at one moment.
NOW = """() => ({
  heard: document.querySelectorAll("#heard p").length,
  state: document.getElementById("job-badge").dataset.t,
})"""
WIDER_THAN_THE_SCREEN = "() => document.documentElement.scrollWidth > innerWidth"
DARK, LIGHT = "rgb(17, 20, 28)", "rgb(245, 246, 249)"

Opened = Callable[..., Any]


@pytest.fixture
def way(stack: RunningStack) -> Iterator[BreakableProxy]:
    with BreakableProxy(stack.url) as between:
        yield between


def drop(page: Any, path: Path) -> None:
    dragged = page.evaluate_handle(DRAGGED, base64.b64encode(path.read_bytes()).decode())
    for event in ("dragover", "drop"):
        page.dispatch_event("#drop", event, {"dataTransfer": dragged})


def heard_while_it_runs(page: Any) -> None:
    told = page.evaluate(NOW)
    while not told["heard"]:
        assert told["state"] in (None, "status.queued", "status.processing")
        page.wait_for_timeout(50)
        told = page.evaluate(NOW)
    assert told["state"] == "status.processing"


#: Notes what forms are sent from now on, but for the files in them.
NOTE_FORMS = """() => {
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (form) {
    window.sent = Object.fromEntries([...form].filter(([, value]) => typeof value === "string"));
    send.call(this, form);
  };
}"""


def test_what_is_chosen_is_what_is_sent(opened: Opened, client: Client, tmp_path: Path):
    terms = client.create_context("Medicines", [{"phrase": "metformin", "boost": 20.0}])
    page = opened()
    page.evaluate(NOTE_FORMS)
    expect(page.locator("#model-field")).to_be_hidden()
    page.select_option("#engine", "whisperx")
    expect(page.locator("#engine-hint")).to_contain_text("No worker serves WhisperX")
    page.select_option("#model", "small")
    page.fill("#spoken", "pt")
    page.select_option("#context", label="Medicines")
    page.fill("#least", "2")
    page.fill("#most", "3")
    page.set_input_files("#files", silence(tmp_path / "chosen.wav"))
    page.click("#send")
    page.wait_for_url("**/#/jobs/*")
    assert page.evaluate("() => window.sent") == {
        "engine": "whisperx", "model": "small", "language": "pt", "min_speakers": "2",
        "max_speakers": "3", "context_id": terms["context_id"],
    }  # fmt: skip
    expect(page.locator("#job-warnings")).to_contain_text("no worker serves the queue")
    job_id = page.url.rpartition("/")[2]
    page.locator(f"[data-job='{job_id}']").get_by_role("button", name="Delete").click()
    page.click("#sure-yes")
    expect(page.locator(f"[data-job='{job_id}']")).to_have_count(0)
    client.delete_context(terms["context_id"])


def test_from_a_dropped_file_to_a_downloaded_transcript(opened: Opened, tmp_path: Path):
    page = opened()
    drop(page, SAMPLE)
    expect(page.locator("#chosen .name")).to_have_text("talk <b>one.flac")
    page.fill("#most", "2")
    page.click("#send")
    heard_while_it_runs(page)
    expect_done(page)
    expect(page.locator("#job-title")).to_have_text("talk <b>one.flac")
    word = page.locator("#transcript li").nth(3).locator("p span").nth(2)
    word.click()
    expect(page.locator(".lit")).to_be_visible()
    assert page.evaluate(PLAYER_TIME) >= float(word.get_attribute("data-at"))
    for form in ("SRT", "VTT", "TXT", "DOCX", "JSON", "TSV", "RTTM"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Download as {form}").click()
        assert saved.value.suggested_filename.endswith(f".{form.lower()}")
        saved.value.save_as(tmp_path / form)
    assert "-->" in (tmp_path / "SRT").read_text()
    assert (tmp_path / "DOCX").read_bytes().startswith(b"PK")


def warned(code: WarningCode, *starts: float) -> list[dict[str, Any]]:
    return [to_json(TranscriptWarning(code, f"<b>{code}</b>", at, at + 0.5)) for at in starts]


def test_warnings_of_a_kind_fold_their_times_play_and_only_what_failed_is_tried_again(
    opened: Opened, done: str
):
    page, told = opened(), warned(WarningCode.WORDS_DOUBTFUL, 0.5, 1, 1.5, 2, 2.5)

    def add_warnings(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "warnings": told})

    page.route(f"**/jobs/result/{done}", add_warnings)
    page.goto(f"{page.url}#/jobs/{done}")
    warnings = page.locator("#job-warnings > li")
    expect(warnings).to_have_count(1)
    expect(warnings.locator("summary")).to_have_text("words are doubtful (at 5 places)")
    warnings.locator("summary").click()
    expect(warnings.locator("li").last).to_have_text("0:02–0:03")
    warnings.get_by_role("button", name="Play from 0:02").first.click()
    page.wait_for_function(f"({PLAYER_TIME})() >= 2")
    expect(page.locator("#job-warnings")).to_be_focused()
    again = page.locator("#job-buttons").get_by_role("button", name="Try again")
    expect(again).to_have_count(0)

    told += warned(WarningCode.CHUNK_FAILED, 3)
    page.reload()
    expect(warnings).to_have_count(2)
    expect(warnings.last).to_contain_text("<b>chunk_failed</b>")
    expect(again).to_be_visible()


def test_a_reload_in_the_middle_misses_nothing(opened: Opened):
    page = opened()
    send_sample(page)
    heard_while_it_runs(page)
    before = page.locator("#heard p").first.inner_text()
    page.reload()
    expect(page.locator("#heard p", has_text=before.splitlines()[-1])).to_have_count(1)
    expect_done(page)


def test_a_lost_connection_is_told_and_comes_back(opened: Opened, way: BreakableProxy):
    page = opened(url=way.url)
    send_sample(page)
    expect(page.locator("#percent")).to_contain_text("%")
    page.context.set_offline(True)
    expect(page.locator("#cut-off")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#cut-off")).to_be_hidden()
    heard_while_it_runs(page)
    way.cut()
    expect(page.locator("#cut-off")).to_be_visible()
    way.mend()
    expect(page.locator("#cut-off")).to_be_hidden()
    expect_done(page)


def test_what_the_service_says_to_a_text_is_shown(opened: Opened):
    page = opened()
    text = {"name": "notes.mp3", "mimeType": "audio/mpeg", "buffer": b"only words\n" * 50}
    page.set_input_files("#files", text)
    page.click("#send")
    expect(page.locator("#chosen [role=alert]")).to_contain_text("not audio or video")
    page.get_by_role("button", name="Remove notes.mp3").click()
    expect(page.locator("#send")).to_be_disabled()


def test_a_job_that_is_not_there_is_told(opened: Opened):
    page = opened("#/jobs/00000000-0000-0000-0000-000000000000")
    expect(page.locator("#job-error")).to_contain_text("00000000")


def test_a_speaker_is_named_in_place(opened: Opened, done: str):
    page = opened(f"#/jobs/{done}")
    page.get_by_role("button", name="SPEAKER_00: give another name").click()
    page.keyboard.type("<i>Ana</i>")
    page.keyboard.press("Enter")
    expect(page.locator("#transcript .who").first).to_have_text("<i>Ana</i>")
    page.reload()
    expect(page.locator("#transcript .who").first).to_have_text("<i>Ana</i>")
    page.get_by_role("button", name="<i>Ana</i>: give another name").click()
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(page.locator("#transcript .who").first).to_have_text("SPEAKER_00")


def test_the_waveform_moves_the_player(opened: Opened, done: str):
    with_waveform = "/waveform.json"
    page = opened()
    with page.expect_response(lambda answer: answer.url.endswith(with_waveform)) as asked:
        page.goto(f"{page.url.partition('#')[0]}#/jobs/{done}")
    assert asked.value.ok
    line = page.get_by_role("slider", name="Place in the recording")
    expect(line).to_have_css("height", "56px")
    at = line.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 4, at["y"] + 20)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + 20)
    page.mouse.up()
    length = float(line.get_attribute("aria-valuemax"))
    assert page.evaluate(PLAYER_TIME) == pytest.approx(length / 2, abs=1)
    line.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(PLAYER_TIME) == pytest.approx(length / 2 + 5, abs=1)
    page.keyboard.press("Home")
    assert page.evaluate(PLAYER_TIME) == 0
    expect(line).to_have_attribute("aria-valuetext", re.compile("^0:00 / "))


def test_words_are_found_whatever_their_case(opened: Opened, done: str):
    page = opened(f"#/jobs/{done}")
    page.fill("#sought", "RADIO show")
    expect(page.locator("#found")).to_contain_text("1 of")
    expect(page.locator(".hit-now").first).to_have_text("radio")
    page.fill("#sought", "xylophone")
    expect(page.locator("#found")).to_have_text("not found")


def test_with_the_keyboard_alone(opened: Opened, done: str):
    page = opened()
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    expect(page.locator(f"[data-job='{done}'] a")).to_be_visible()
    while page.evaluate("() => document.activeElement.closest('[data-job]')?.dataset.job") != done:
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#job-title")).to_be_focused()
    expect(page.locator("#transcript li").first).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.press("n")
    wait_until(lambda: page.evaluate(PLAYER_TIME) > 1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    expect(page.locator(".lit")).to_be_visible()
    page.keyboard.press("k")
    page.keyboard.press("/")
    expect(page.locator("#sought")).to_be_focused()
    page.keyboard.type("music?")
    expect(page.locator("#help")).to_be_hidden()
    page.locator("#sought").blur()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator("#new")).to_be_visible()


def test_shortcuts_are_told_and_can_be_turned_off(opened: Opened, done: str):
    page = opened(f"#/jobs/{done}")
    expect(page.locator("#transcript li").first).to_be_visible()
    page.click("#help-open")
    told = page.locator("#help-keys dt").all_inner_texts()
    assert told == ["Space, K", "←", "→", "P", "N", "<", ">", "E", "/", "C", "?"]
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#transcript li").first).to_be_visible()
    page.keyboard.press("c")
    page.keyboard.press("?")
    expect(page.locator("#job")).to_be_visible()
    expect(page.locator("#help")).to_be_hidden()


def test_on_a_phone_one_thing_is_seen_at_a_time(opened: Opened, done: str):
    page = opened(**PHONE)
    page.locator(f"[data-job='{done}'] a").tap()
    expect(page.locator("#transcript li").first).to_be_visible()
    expect(page.locator("#jobs")).to_be_hidden()
    assert not page.evaluate(WIDER_THAN_THE_SCREEN)
    page.get_by_role("link", name="All recordings").tap()
    expect(page.locator("#jobs")).to_be_visible()
    assert not page.evaluate(WIDER_THAN_THE_SCREEN)


def test_dark_is_as_the_system_has_it_or_as_it_was_chosen(opened: Opened):
    page = opened(color_scheme="dark")
    body = page.locator("body")
    expect(body).to_have_css("background-color", DARK)
    page.select_option("#theme", "light")
    expect(body).to_have_css("background-color", LIGHT)
    page.reload()
    expect(body).to_have_css("background-color", LIGHT)


def test_in_portuguese(opened: Opened):
    page = opened()
    page.select_option("#language", "pt")
    expect(page.locator("#new-title")).to_have_text("Nova transcrição")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "pt")
    expect(page.locator("#send")).to_have_text("Transcrever")
    assert page.get_by_text("new.").count() == 0


def test_the_microphone_makes_a_recording_like_any_other(opened: Opened):
    page = opened()
    page.click("#record")
    expect(page.locator("#record-time")).to_have_text("0:02")
    page.click("#record")
    expect(page.locator("#chosen .name")).to_contain_text("Recording")
    page.click("#send")
    expect(page.locator("#job-badge")).to_have_text("done")


def silence(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(3200))
    return path


def test_jobs_are_listed_by_the_page_and_cancelled_retried_and_deleted(
    opened: Opened, client: Client, tmp_path: Path
):
    for number in range(26):
        client.submit(silence(tmp_path / f"{number}.wav"), priority="low")
    page = opened()
    expect(page.locator("#jobs > li")).to_have_count(25)
    page.click("#more")
    expect(page.locator("#jobs a", has_text="0.wav").last).to_be_visible()
    job_id = send_sample(page)
    page.locator("#job-buttons").get_by_role("button", name="Cancel").click()
    expect(page.locator("#job-badge")).to_have_text("cancelled")
    page.locator("#job-buttons").get_by_role("button", name="Try again").click()
    expect(page.locator("#job-badge")).not_to_have_text("cancelled")
    page.locator("#job-buttons").get_by_role("button", name="Delete").click()
    page.click("#sure [data-close]")
    page.locator("#job-buttons").get_by_role("button", name="Delete").click()
    page.click("#sure-yes")
    expect(page.locator("#new")).to_be_visible()
    expect(page.locator(f"[data-job='{job_id}']")).to_have_count(0)
    page.select_option("#filter-status", "cancelled")
    expect(page.locator("#jobs-empty")).to_have_text("Nothing like that.")
    page.select_option("#filter-status", "")
    page.select_option("#filter-engine", "whisperx")
    expect(page.locator("#jobs-empty")).to_have_text("Nothing like that.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_people_from_using_it(opened: Opened, done: str, axe: str, scheme: str):
    page = opened(color_scheme=scheme)
    expect(page.locator("#jobs > li").first).to_be_visible()
    assert found(page, axe) == []
    page.click("#help-open")
    assert found(page, axe) == []
    page.keyboard.press("Escape")
    page.goto(f"{page.url.partition('#')[0]}#/jobs/{done}")
    expect(page.locator("#transcript li").first).to_be_visible()
    page.fill("#sought", "radio")
    expect(page.locator("#found")).to_contain_text("of")
    assert found(page, axe) == []
    page.locator("#sought").blur()
    page.keyboard.press("e")
    expect(page.locator(".editor textarea")).to_be_focused()
    assert found(page, axe) == []


def found(page: Any, axe: str) -> list[str]:
    """What axe-core finds wrong, each with the first element that it is about."""
    page.evaluate(axe + "; undefined")
    told = page.evaluate("() => axe.run()")
    firsts = ((one["id"], one["nodes"][0]) for one in told["violations"])
    return [f"{rule}: {node['html']}: {node['failureSummary']}" for rule, node in firsts]
