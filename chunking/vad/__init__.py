"""Voice activity detection: when there is speech, and on which channel."""
