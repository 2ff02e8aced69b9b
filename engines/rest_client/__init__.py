"""Talks to speech services over the audio API of OpenAI, for `engines.remote`."""
