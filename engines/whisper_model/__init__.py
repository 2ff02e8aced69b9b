"""Whisper on windows of half a minute, with word times, for `whisper` and `whisperx`."""
