"""Subtitles that break a rule are told of, and ours break none that can be kept."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.factories.transcripts import build_segment, draw_segments
from transcribe_api.cli.command import main
from transcripts.formats import Layout, srt, vtt
from transcripts.formats.lint import lint
from transcripts.formats.reading import read_subtitles
from transcripts.types import Segment, Word

GOOD = (
    "1\n00:00:01,000 --> 00:00:03,000\nGood morning.\n\n2\n00:00:03,000 --> 00:00:05,000\nHello.\n"
)
GOOD_VTT = "WEBVTT\n\n00:01.000 --> 00:03.000 align:start\n<v Ana>Good &amp; new.\n"


def found(text: str, layout: Layout = Layout()) -> list[tuple[int, str]]:  # noqa: B008
    return [(fault.cue, fault.rule) for fault in lint(text, layout)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD,
        GOOD_VTT,
        "\ufeff" + GOOD.replace("\n", "\r\n") + "\r\n\r\n",
        GOOD.replace("Good morning.", "<i>Good morning, </i>{\\an8}" + "a" * 24),
        "WEBVTT - a talk\nKind: captions\n\nNOTE\nnothing\n\nSTYLE\n::cue {}\n\nname\n"
        "00:01.000 --> 25:00:03.000\nHello.\n".replace("25:00:03", "00:00:03"),
    ],
)
def test_what_is_right_has_no_faults(text: str) -> None:
    assert lint(text) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("2\n00:00:03", "3\n00:00:03"), (2, "number")),
        (("2\n00:00:03", "00:00:03"), (2, "number")),
        (("1\n00", "one\n00"), (1, "number")),
        (("00:00:01,000", "00:00:01.000"), (1, "form")),
        (("00:00:01,000", "00:00:61,000"), (1, "form")),
        (("00:00:05,000", "0:0:5,0"), (2, "form")),
        (("morning.\n", "morning.\n\nAnd more.\n"), (1, "form")),
        (("00:00:01,000", "00:00:03,000"), (1, "times")),
        (("00:00:01,000", "00:00:04,000"), (1, "times")),
        (("00:00:03,000 -->", "00:00:02,000 -->"), (2, "overlap")),
        (("Hello.", "<i></i>"), (2, "empty")),
        (("Hello.", "H" * 43), (2, "max_cps")),
        (("Hello.", "word " * 6 + "long" * 4), (2, "max_line_length")),
        (("Hello.", "one\ntwo\nthree"), (2, "max_lines")),
        (("Hello.", "会" * 22), (2, "max_cps")),
        (("Hello.", "我们 " * 6 + "会议" * 4), (2, "max_line_length")),
        (("00:00:05,000", "00:00:03,900"), (2, "min_duration")),
        (("00:00:05,000", "00:00:10,001"), (2, "max_duration")),
    ],
)
def test_a_planted_fault_is_found(change: tuple[str, str], fault: tuple[int, str]) -> None:
    planted = GOOD.replace(*change)
    assert planted != GOOD
    assert fault in found(planted)


def test_what_comes_after_a_cue_that_cannot_be_read_keeps_its_place() -> None:
    broken = GOOD.replace("00:00:01,000", "00:00:61,000").replace("Hello.", "H" * 60)
    assert {(1, "form"), (2, "max_line_length")} <= set(found(broken))


def test_a_cue_that_begins_before_the_one_ahead_is_out_of_order() -> None:
    blocks = GOOD.split("\n\n")
    swapped = "\n\n".join(reversed(blocks)).replace("2\n00", "1\n00", 1)
    assert (2, "times") in found(swapped)


def test_one_wrong_number_is_one_fault() -> None:
    cues = [build_segment("Hello there.", at * 5.0) for at in range(20)]
    assert found(srt(cues).replace("\n7\n", "\n70\n").replace("\n8\n", "\n71\n")) == [
        (7, "number"),
        (9, "number"),
    ]


@pytest.mark.parametrize("name", ["", "first\n"])
def test_a_cue_directly_under_the_head_is_read_and_told_of(name: str) -> None:
    text = GOOD_VTT.replace("WEBVTT\n\n", f"WEBVTT\n{name}").replace("Good", "long" * 11)
    assert found(text) == [(0, "form"), (1, "max_line_length"), (1, "max_cps")]


@pytest.mark.parametrize("head", ["WEBVTTX", "WEBVTT-1"])
def test_a_head_that_is_none_is_told_of(head: str) -> None:
    assert found(GOOD_VTT.replace("WEBVTT", head)) == [(0, "form")]


def test_what_cannot_be_helped_is_said_so() -> None:
    hurried = srt(
        [
            build_segment("incomprehensibilities " * 2, pace=0.3),
            build_segment("No.", 0.6, speaker=1),
        ]
    )
    (fast,) = [fault for fault in lint(hurried) if fault.cue == 1 and fault.rule == "max_cps"]
    assert not fast.mendable
    assert fast.text.endswith("20 are allowed; there is no room to show it longer")
    (short,) = lint(GOOD.replace("00:00:05,000", "00:00:03,500"))
    assert short.mendable
    assert short.text == "shown for 0.5 s, the minimum is 1 s"


def test_a_gap_is_kept_where_one_is_wished() -> None:
    talk = [
        build_segment("Yes I do.", 0.0),
        build_segment("No.", 1.2, speaker=1),
        build_segment("No.", 1.2, speaker=0),
    ]
    assert (2, "gap") in found(srt(talk), Layout(gap=0.1))
    assert "gap" not in dict(map(reversed, found(srt(talk, Layout(gap=0.1)), Layout(gap=0.1))))


LAYOUTS = st.builds(
    Layout,
    max_line_length=st.sampled_from([10, 20, 42]),
    max_lines=st.integers(1, 3),
    max_cps=st.sampled_from([5.0, 17.3, 20.0]),
    min_duration=st.sampled_from([0.0, 1.0, 1.1]),
    max_duration=st.sampled_from([2.0, 7.0]),
    gap=st.sampled_from([0.0, 0.08, 0.5]),
    speaker_labels=st.booleans(),
)
#: Players take these for tags in SubRip, which has no way to write them.
TAGS = frozenset("<{")


@settings(max_examples=150, deadline=None)
@given(draw_segments(), LAYOUTS)
@example([Segment((Word("2", 0.0, 1.0), Word("-->", 1.0, 2.0)))], Layout())
def test_ours_break_no_rule_that_can_be_kept(segments: list[Segment], layout: Layout) -> None:
    for text in (srt(segments, layout), vtt(segments, layout)):
        if not TAGS & set(text.replace("<v SPEAKER_0", "")):
            faults = lint(text, layout)
            assert [fault for fault in faults if fault.mendable] == []
            assert {fault.rule for fault in faults} <= {"max_cps", "min_duration"}


@settings(max_examples=60, deadline=None)
@given(draw_segments())
def test_files_are_read_as_another_library_reads_them(segments: list[Segment]) -> None:
    for text, form in ((srt(segments), "srt"), (vtt(segments), "vtt")):
        cues, _ = read_subtitles(text)
        if cues:
            theirs = pysubs2.SSAFile.from_string(text, format_=form)
            assert [(cue.start, cue.end) for cue in cues.values()] == [
                (cue.start, cue.end) for cue in theirs
            ]


def test_a_transcript_of_25_hours_reads_back_in_another_library() -> None:
    talk = [
        build_segment(
            f"And this is what number {number} has to say.", number * 15.0, speaker=number % 2
        )
        for number in range(25 * 240)
    ]
    for text, form in ((srt(talk), "srt"), (vtt(talk), "vtt")):
        cues = list(pysubs2.SSAFile.from_string(text, format_=form))
        assert len(cues) == len(talk)
        assert cues[-1].start == round(1000 * talk[-1].start) > 24 * 3600 * 1000
        assert all(cue.end <= following.start for cue, following in pairwise(cues))
        assert lint(text) == []


# The command


def run(*words: str):
    return CliRunner().invoke(main, ["subtitles", "lint", *words])


def test_the_command_names_file_cue_and_rule(tmp_path: Path) -> None:
    good, bad, strange = (tmp_path / name for name in ("good.srt", "bad.vtt", "strange.srt"))
    good.write_text(GOOD)
    bad.write_text(GOOD_VTT.replace("00:03.000", "00:01.500"))
    strange.write_bytes(b"\xff\xfe")
    assert (run(str(good)).exit_code, run(str(good)).output) == (0, "")
    told = run(str(good), str(bad), str(strange))
    assert told.exit_code == 1
    assert told.output.splitlines() == [
        f"{bad}:1: max_cps: 22.0 columns per second, 20 are allowed",
        f"{bad}:1: min_duration: shown for 0.5 s, the minimum is 1 s",
        f"{strange}:0: form: the file is not UTF-8: invalid start byte at byte 0",
    ]
    quick = tmp_path / "quick.srt"
    quick.write_text(
        "1\n00:00:00,000 --> 00:00:00,900\nSaid in no time at all.\n\n"
        "2\n00:00:00,900 --> 00:00:03,000\nAnd on it goes.\n"
    )
    assert "no room to show it longer" in run(str(quick)).output
    assert (run(str(quick)).exit_code, run("--strict", str(quick)).exit_code) == (0, 1)
    assert run("--min-duration", "0.5", "--max-cps", "25", str(bad)).output == ""
    assert run("--min-duration", "9", str(good)).exit_code == 2
