"""Edits of finished transcripts by users: texts, speakers and their names."""
