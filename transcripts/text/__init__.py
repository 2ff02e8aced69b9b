"""The text of transcripts: where it may break, how wide it is, how words join."""
