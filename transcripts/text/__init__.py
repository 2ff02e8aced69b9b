"""Text of transcripts: boundaries, display width, and words at chunk joins."""
