"""Checks that every request passes first, independent of keys."""
