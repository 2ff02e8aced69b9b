"""Pure functions that assemble transcripts from words, turns and segments."""
