"""Puts words together: pure functions of words, turns and segments."""
