"""Remembers: settings, errors, records, job state, storage and progress."""
