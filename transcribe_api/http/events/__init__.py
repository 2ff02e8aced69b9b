"""Responses that last as long as a job: event streams, callers who wait."""
