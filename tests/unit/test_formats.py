"""Every format can be read back, whatever was said and whoever said it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories.transcripts import HOUR, build_segment, draw_segments
from transcripts.formats import (
    Layout,
    final_transcription,
    rttm,
    segments_json,
    srt,
    tsv,
    txt,
    vtt,
)
from transcripts.formats.cues import lay_out
from transcripts.text.display_width import measure_width
from transcripts.text.phrases import find_breaks
from transcripts.types import Segment, Turn, Word

TALK = [
    build_segment("How are you today?", 1.0),
    build_segment("Very well, thank you.", 4.0, speaker=1),
    build_segment("And the family?", 8.0, speaker=1),
]


# The documents


def test_segments_have_the_keys_of_the_service() -> None:
    word = Word("Hi", 0.00049, 1 / 3, 0.98765, 2)
    assert segments_json([Segment((word,), 2)]) == [
        {
            "start": 0.0,
            "end": 0.333,
            "text": "Hi",
            "speaker_tag": 2,
            "confidence": 0.988,
            "words": [
                {
                    "word": "Hi",
                    "start": 0.0,
                    "end": 0.333,
                    "confidence": 0.988,
                    "speaker_tag": 2,
                }
            ],
        }
    ]


def test_what_is_not_known_is_null_and_never_nan() -> None:
    unknown = Segment((Word("hm", math.nan, math.inf, math.nan),))
    (segment,) = segments_json([unknown])
    assert (segment["start"], segment["end"]) == (0.0, 0.0)
    assert segment["confidence"] is segment["speaker_tag"] is None
    json.dumps([segment, final_transcription("x", math.nan, [unknown])], allow_nan=False)


def test_final_transcription_has_the_keys_of_the_pipeline() -> None:
    document = final_transcription("talk.mp4", 12.00049, TALK[:2], {1: "Ana"})
    assert document == {
        "file_path": "talk.mp4",
        "total_duration": 12.0,
        "speakers": ["SPEAKER_00", "Ana"],
        "segments": [
            {
                "speaker_id": "SPEAKER_00",
                "start_time": 1.0,
                "end_time": 2.6,
                "text": "How are you today?",
                "confidence": 0.9,
            },
            {
                "speaker_id": "Ana",
                "start_time": 4.0,
                "end_time": 5.6,
                "text": "Very well, thank you.",
                "confidence": 0.9,
            },
        ],
    }


def test_nobody_known_is_no_speaker() -> None:
    document = final_transcription("talk.mp4", 1.0, [build_segment("hello", speaker=None)])
    assert document["speakers"] == []
    assert document["segments"][0]["speaker_id"] is None


# Subtitles


def test_srt_names_each_new_speaker() -> None:
    assert srt(TALK) == (
        "1\n00:00:01,000 --> 00:00:02,600\nSPEAKER_00: How are you today?\n\n"
        "2\n00:00:04,000 --> 00:00:05,650\nSPEAKER_01: Very well, thank you.\n\n"
        "3\n00:00:08,000 --> 00:00:09,200\nAnd the family?\n"
    )


def test_vtt_names_every_speaker() -> None:
    assert vtt(TALK, names={1: "Tom & <Ana>"}) == (
        "WEBVTT\n\n"
        "00:00:01.000 --> 00:00:02.600\n<v SPEAKER_00>How are you today?\n\n"
        "00:00:04.000 --> 00:00:05.600\n<v Tom &amp; &lt;Ana&gt;>Very well, thank you.\n\n"
        "00:00:08.000 --> 00:00:09.200\n<v Tom &amp; &lt;Ana&gt;>And the family?\n"
    )


def test_labels_can_be_left_out() -> None:
    silent = Layout(speaker_labels=False)
    for subtitles in (srt(TALK, silent), vtt(TALK, silent), txt(TALK, speaker_labels=False)):
        assert "SPEAKER" not in subtitles
        assert "<v" not in subtitles


def test_nothing_said_is_an_empty_but_valid_file() -> None:
    blank = Segment((Word(" \n", 0, 1),))
    for segments in ([], [blank]):
        assert srt(segments) == ""
        assert vtt(segments) == "WEBVTT\n"
        assert txt(segments) == ""


@pytest.mark.parametrize(
    ("start", "in_srt", "in_vtt"),
    [
        (0.0, "00:00:00,000", "00:00:00.000"),
        (0.9996, "00:00:01,000", "00:00:01.000"),
        (59.9994, "00:00:59,999", "00:00:59.999"),
        (HOUR + 1.5, "01:00:01,500", "01:00:01.500"),
        (25 * HOUR, "25:00:00,000", "25:00:00.000"),
        (101 * HOUR + 61, "101:01:01,000", "101:01:01.000"),
    ],
)
def test_times_are_rounded_and_go_past_an_hour_and_a_day(
    start: float, in_srt: str, in_vtt: str
) -> None:
    segments = [build_segment("hello", start)]
    assert f"\n{in_srt} --> " in srt(segments)
    assert f"\n{in_vtt} --> " in vtt(segments)


def test_text_cannot_break_out_of_its_cue() -> None:
    words = (
        Word("2\n\n00:00:09,000 --> 00:00:10,000\nfake", 0.0, 1.0),
        Word("<b>&", 1.0, 2.0),
        Word("nul\x00\ud800", 2.0, 3.0),
    )
    segments = [Segment(words), build_segment("next", 5.0)]
    assert len(pysubs2.SSAFile.from_string(srt(segments), format_="srt")) == 2
    assert len(pysubs2.SSAFile.from_string(vtt(segments), format_="vtt")) == 2
    assert "&lt;b&gt;&amp; nul\n" in vtt(segments)
    assert srt(segments).count("-->") == vtt(segments).count("-->") == 2
    srt(segments).encode()


def test_a_long_segment_is_cut_at_clauses_into_even_lines() -> None:
    text = (
        "When the river rose above the old stone bridge, nobody in the village was surprised, "
        "because it had rained for eleven days and the mill was under water already"
    )
    cues = lay_out([build_segment(text, pace=0.3)])
    assert [cue.lines for cue in cues] == [
        ("When the river rose above", "the old stone bridge,"),
        ("nobody in the village was surprised,",),
        ("because it had rained for eleven days", "and the mill was under water already"),
    ]


def test_a_cue_stays_to_be_read_but_goes_for_the_next() -> None:
    lone = lay_out([build_segment("Yes.", 0.0), build_segment("No.", 10.0)])
    assert [cue.end - cue.start for cue in lone] == [1000, 1000]
    crowded = lay_out([build_segment("Yes.", 0.0), build_segment("No.", 0.6, speaker=1)])
    assert [(cue.start, cue.end) for cue in crowded] == [(0, 600), (600, 1600)]


def test_fast_speech_stays_long_enough_for_its_characters() -> None:
    (cue,) = lay_out([build_segment("incomprehensible " * 4, pace=0.4)])
    assert cue.end - cue.start == 3300  # 66 characters, 20 a second


def test_cues_too_short_to_be_read_are_joined() -> None:
    cues = lay_out(
        [
            build_segment("Yes.", 0.0),
            build_segment("I do.", 0.5),
            build_segment("Why?", 1.5, speaker=1),
        ]
    )
    assert [" ".join(cue.lines) for cue in cues] == ["Yes. I do.", "Why?"]


def test_a_cue_is_never_shown_too_long() -> None:
    (cue,) = lay_out([Segment((Word("ooooh", 0.0, 30.0),))])
    assert (cue.start, cue.end) == (0, 7000)


def test_a_word_longer_than_a_line_is_cut() -> None:
    cues = lay_out([Segment((Word("a" * 100, 0.0, 5.0),))])
    assert [len(line) for cue in cues for line in cue.lines] == [42, 42, 16]


def test_what_is_said_at_the_same_time_is_shown_long_enough_to_be_read() -> None:
    """Channels that are speakers keep their sentences whole, so their segments overlap."""
    talk = [
        build_segment("Nobody in the village was surprised because it had rained for days.", 0.0),
        build_segment("Mm-hm.", 1.0, speaker=1),
        build_segment("Go on, I am listening to you.", 1.6, speaker=1),
        build_segment("And then it rained on.", 12.0),
    ]
    cues = lay_out(talk, leads=True)
    assert [" ".join(cue.lines) for cue in cues] == [
        "SPEAKER_00: Nobody in the village was surprised because it had rained for days.",
        "SPEAKER_01: Mm-hm. Go on, I am listening to you.",
        "SPEAKER_00: And then it rained on.",
    ]
    assert all(sum(map(len, cue.lines)) <= 21 * (cue.end - cue.start) / 1000 for cue in cues)
    assert [cue.start for cue in cues] == [0, 3900, 12000]


def test_who_goes_on_after_somebody_spoke_into_it_is_named_again() -> None:
    narrow = Layout(max_line_length=24, max_lines=1)
    talk = [build_segment("One two three four, five six"), build_segment("No.", 0.5, speaker=1)]
    assert [cue.lines[0] for cue in lay_out(talk, narrow, leads=True)] == [
        "SPEAKER_00: One two",
        "SPEAKER_01: No.",
        "SPEAKER_00: three four,",
        "five six",
    ]


def test_no_cue_is_later_than_it_may_be_however_many_talk() -> None:
    crowd = [
        build_segment("all of us say this at once", 0.1 * who, speaker=who) for who in range(9)
    ]
    cues = lay_out(crowd)
    assert [cue.speaker for cue in cues] == list(range(9))
    assert all(cue.start <= 100 * at + 3000 + 9 * 40 for at, cue in enumerate(cues))


def test_a_long_word_is_not_cut_between_a_letter_and_its_marks() -> None:
    (cue,) = lay_out([Segment((Word("e\u0301" * 5 + "👩\u200d🚀👍🏽", 0.0, 5.0),))], Layout(7, 9))
    assert cue.lines == ("e\u0301" * 5 + "👩\u200d🚀", "👍🏽")


def test_no_cue_begins_with_what_hangs_on_in_japanese() -> None:
    words = tuple(
        Word(text, 0.2 * at, 0.2 * at + 0.2) for at, text in enumerate("昨日は雨が降っていた")
    )
    cues = lay_out([Segment(words)], Layout(12, 1))
    assert [cue.lines for cue in cues] == [("昨日は雨が",), ("降っていた",)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("我们明天在北京大学见面，好吗？", "我们明天在北京"),
        ("今日は公園に散歩に行きましょうか。", "今日は公園に"),
        ("สวัสดีครับวันนี้เราจะพูดถึงเรื่องการเดินทาง", "สวัสดีครับวันนี้เรา"),
        ("ភាសាខ្មែរជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជា", "ភាសាខ្មែរជា"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_no_line_breaks_within_a_phrase_where_no_spaces_are_set(
    text: str, first: str, size: int
) -> None:
    """Whatever tokens an engine gives: characters, parts of words, or all in one."""
    tokens = [text[at : at + size] for at in range(0, len(text), size)]
    words = tuple(Word(token, 0.2 * at, 0.2 * at + 0.2) for at, token in enumerate(tokens))
    cues = lay_out([Segment(words)], Layout(16, 9, max_duration=30))
    lines = [line for cue in cues for line in cue.lines]
    assert "".join(lines) == text
    assert set(accumulate(map(len, lines[:-1]))) <= find_breaks(text)
    assert max(map(measure_width, lines)) <= 16
    if size == 1:
        assert lines[0] == first


def test_full_width_characters_take_two_columns_and_twice_the_time() -> None:
    words = tuple(Word("会议", 0.1 * at, 0.1 * at + 0.1) for at in range(15))
    (cue,) = lay_out([Segment(words)])
    assert [len(line) for line in cue.lines] == [16, 14]
    assert cue.end - cue.start == 3000  # 60 columns, 20 a second


def test_what_is_written_from_the_right_is_said_to_be() -> None:
    hebrew, english = build_segment("שלום לכולם, what?"), build_segment("We say שלום here.", 5.0)
    assert "\u202bשלום לכולם, what?\u202c" in vtt([hebrew])
    assert "\u202bSPEAKER_00: שלום לכולם, what?\u202c" in srt([hebrew])
    assert "\u202b" not in srt([english]) + vtt([english])


def test_a_name_without_room_for_a_word_beside_it_is_left_out() -> None:
    narrow = Layout(max_line_length=12, max_lines=1)
    assert "Maximilian" not in srt([build_segment("unbelievable")], narrow, {0: "Maximilian"})
    assert "Maximilian…:" in srt(
        [build_segment("unbelievable")], Layout(12, 2), {0: "Maximilian I."}
    )


@pytest.mark.parametrize("wrong", [{"max_lines": 0}, {"max_cps": -1}, {"min_duration": -0.1}])
def test_an_impossible_layout_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="layout"):
        replace(Layout(), **wrong)


# Text and tables


def test_txt_has_a_paragraph_for_each_turn() -> None:
    later = build_segment("Goodbye.", 60.0, speaker=1)
    assert txt([*TALK, later], {0: "Ana"}) == (
        "Ana: How are you today?\n\n"
        "SPEAKER_01: Very well, thank you.\n\n"
        "SPEAKER_01: And the family?\n\n"
        "SPEAKER_01: Goodbye.\n"
    )


def test_txt_of_unknown_speakers_has_paragraphs_at_long_pauses() -> None:
    segments = [
        build_segment("One.", 0.0, speaker=None),
        build_segment("Two.", 1.0, speaker=None),
        build_segment("Three.", 9.0, speaker=None),
    ]
    assert txt(segments) == "One. Two.\n\nThree.\n"


def test_tsv_has_one_line_a_segment() -> None:
    odd = Segment((Word("tab\there", 1.0, 2.0004),))
    assert tsv([TALK[0], odd]) == (
        "start\tend\tspeaker\ttext\n"
        "1.000\t2.600\tSPEAKER_00\tHow are you today?\n"
        "1.000\t2.000\t\ttab here\n"
    )


def test_rttm_has_one_line_a_turn() -> None:
    assert rttm([Turn(0.5, 2.0, 0), Turn(2.0, 3.25, 1)], "my talk") == (
        "SPEAKER my_talk 1 0.500 1.500 <NA> <NA> SPEAKER_00 <NA> <NA>\n"
        "SPEAKER my_talk 1 2.000 1.250 <NA> <NA> SPEAKER_01 <NA> <NA>\n"
    )


# Whatever was said

LAYOUTS = st.builds(
    Layout,
    max_line_length=st.sampled_from([5, 20, 42]),
    max_lines=st.integers(1, 3),
    speaker_labels=st.booleans(),
)
NAMES = st.sampled_from([None, {0: "Ana --> B\n\nC", 1: "<i>" * 20}])


@settings(max_examples=120, deadline=None)
@given(draw_segments(), LAYOUTS, NAMES, st.booleans())
def test_cues_keep_the_layout_and_never_overlap(
    segments: list[Segment], layout: Layout, names: dict[int, str] | None, leads: bool
) -> None:
    cues = lay_out(segments, layout, names, leads=leads)
    for cue in cues:
        assert 1 <= len(cue.lines) <= layout.max_lines
        assert all(cue.lines)
        assert max(map(measure_width, cue.lines)) <= layout.max_line_length
        assert all(line == " ".join(line.split()) for line in cue.lines)
        assert 0 < cue.end - cue.start <= layout.max_duration * 1000
    for cue, following in pairwise(cues):
        assert cue.end <= following.start
    assert cues == lay_out(segments, layout, names, leads=leads)


@settings(max_examples=120, deadline=None)
@given(draw_segments(), LAYOUTS)
def test_cues_hold_everything_that_was_said(segments: list[Segment], layout: Layout) -> None:
    cues = lay_out(segments, layout)
    for speaker in {segment.speaker for segment in segments}:
        said = "".join(
            word.text
            for segment in segments
            for word in segment.words
            if segment.speaker == speaker
        )
        shown = "".join("".join(cue.lines) for cue in cues if cue.speaker == speaker)
        kept = "".join(said.split())
        assert shown.replace(" ", "") == "".join(
            c for c in kept if c.isprintable() or ord(c) > 0x9F
        )


@settings(max_examples=120, deadline=None)
@given(draw_segments(), LAYOUTS, NAMES)
def test_subtitles_read_back_with_as_many_cues_and_the_same_times(
    segments: list[Segment], layout: Layout, names: dict[int, str] | None
) -> None:
    for text, form, cues in (
        (srt(segments, layout, names), "srt", lay_out(segments, layout, names, leads=True)),
        (vtt(segments, layout, names), "vtt", lay_out(segments, layout, names)),
    ):
        text.encode()
        if not cues:
            continue
        read = pysubs2.SSAFile.from_string(text, format_=form)
        assert [(cue.start, cue.end) for cue in read] == [(cue.start, cue.end) for cue in cues]


@settings(max_examples=60, deadline=None)
@given(draw_segments())
def test_documents_are_json_and_tables_have_a_line_each(segments: list[Segment]) -> None:
    json.dumps(segments_json(segments), allow_nan=False)
    json.dumps(final_transcription("x", 1.0, segments), allow_nan=False)
    rows = tsv(segments).removesuffix("\n").split("\n")
    assert [row.count("\t") for row in rows] == [3] * (len(segments) + 1)


def test_subtitles_survive_the_way_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "talk.srt"
    path.write_text(srt(TALK), encoding="utf-8")
    assert [cue.plaintext for cue in pysubs2.load(str(path))] == [
        "SPEAKER_00: How are you today?",
        "SPEAKER_01: Very well, thank you.",
        "And the family?",
    ]
