"""Words are joined as their language is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts import formats
from transcripts.formats import Layout
from transcripts.formats.cues import lay_out
from transcripts.formats.paragraphs import build_paragraphs
from transcripts.spacing import find_separator, is_unspaced, join_texts
from transcripts.types import Segment, Word


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["Good", "morning,", "Ana."], "Good morning, Ana."),
        (["今日", "は", "、", "元気", "です", "か", "？"], "今日は、元気ですか？"),
        (["你", "好", "，", "世", "界", "。"], "你好，世界。"),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        (["ສະບາຍ", "ດີ"], "ສະບາຍດີ"),
        (["សួស្តី", "អ្នក"], "សួស្តីអ្នក"),
        (["မင်္ဂလာ", "ပါ"], "မင်္ဂလာပါ"),
        (["ｶﾀｶﾅ", "です"], "ｶﾀｶﾅです"),
        (["𠮷", "野"], "𠮷野"),
        (["안녕", "하세요"], "안녕 하세요"),
        (["Добрый", "день"], "Добрый день"),
        (["नमस्ते", "दोस्त"], "नमस्ते दोस्त"),
        (["我", "用", "Python", "写"], "我用 Python 写"),
        (["", "a", "", "b"], "a b"),
        ([], ""),
    ],
)
def test_each_script_is_joined_in_its_own_way(words: list[str], text: str):
    assert join_texts(words) == text
    assert Segment(tuple(Word(word, 0, 1) for word in words or ["x"])).text == (text or "x")


@given(st.lists(st.text(min_size=1), max_size=8))
def test_no_letter_is_lost_or_moved(words: list[str]):
    assert join_texts(words).replace(" ", "") == "".join(words).replace(" ", "")


@given(st.text(min_size=1, max_size=3), st.text(min_size=1, max_size=3))
def test_a_space_is_left_out_only_inside_such_a_script(one: str, other: str):
    assert find_separator(one, other) == (
        "" if is_unspaced(one[-1]) and is_unspaced(other[0]) else " "
    )


def said(text: str) -> Segment:
    return Segment(tuple(Word(char, 0.2 * at, 0.2 * at + 0.2) for at, char in enumerate(text)), 0)


def test_subtitles_have_no_spaces_and_full_lines():
    text = "今天天气很好我们一起去公园散步吧然后去喝一杯咖啡再回家看一部电影怎么样"
    cues = lay_out([said(text)], Layout(max_line_length=20, max_lines=2))
    assert "".join("".join(cue.lines) for cue in cues) == text
    assert max(len(line) for cue in cues for line in cue.lines) in (9, 10)
    assert len(cues) == 2
    assert text[:10] in formats.srt([said(text[:10])], Layout()).splitlines()[2]


def test_paragraphs_join_sentences_and_keep_the_spaces_inside():
    pause = Segment((Word("ไป เที่ยว", 1.0, 2.0),), 0)
    (paragraph,) = build_paragraphs([Segment((Word("สวัสดี", 0.0, 1.0),), 0), pause])
    assert paragraph.text == "สวัสดีไป เที่ยว"
