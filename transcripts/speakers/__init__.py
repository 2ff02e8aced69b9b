"""Speakers of a transcript: one identity over shards, their words, roles, channels."""
