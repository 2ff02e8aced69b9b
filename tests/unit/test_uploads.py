"""File names are kept as far as they can be shown safely."""

import pytest

from transcribe_api.http.requests.uploads import MAX_NAME_LENGTH, clean_filename


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("meeting.mp3", "meeting.mp3"),
        ("naïve – тест 音声 🎤.wav", "naïve – тест 音声 🎤.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\x.wav", "x.wav"),
        ("a\x00b\r\nc.wav", "abc.wav"),
        ("\u202egpj.wav", "gpj.wav"),
        ("x" * 2000, "x" * MAX_NAME_LENGTH),
        ("", "recording"),
        (None, "recording"),
        ("///", "recording"),
    ],
)
def test_names(given, shown):
    assert clean_filename(given) == shown
