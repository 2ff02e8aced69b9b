"""Runs Whisper on windows of half a minute and times its words, for `whisper` and `whisperx`."""
