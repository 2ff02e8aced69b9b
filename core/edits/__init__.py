"""What users change in a finished transcript: texts, speakers and their names."""
