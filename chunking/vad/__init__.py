"""Voice activity detection: where anybody speaks, and on which channel."""
