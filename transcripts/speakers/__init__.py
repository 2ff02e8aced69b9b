"""Speakers of a transcript: linking over shards, assignment to words, roles, channels."""
