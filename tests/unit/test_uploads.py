"""File names are kept as far as they can be shown safely."""

import pytest

from transcribe_api.uploads import LONGEST_NAME, shown_name


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("meeting.mp3", "meeting.mp3"),
        ("naïve – тест 音声 🎤.wav", "naïve – тест 音声 🎤.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\x.wav", "x.wav"),
        ("a\x00b\r\nc.wav", "abc.wav"),
        ("\u202egpj.wav", "gpj.wav"),
        ("x" * 2000, "x" * LONGEST_NAME),
        ("", "recording"),
        (None, "recording"),
        ("///", "recording"),
    ],
)
def test_names(given, shown):
    assert shown_name(given) == shown
