"""Transcription for Python programs: an embedded service, batches, results."""
