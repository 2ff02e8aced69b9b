"""Whose turn it is, who has room, and what is done again: with real worker processes."""
