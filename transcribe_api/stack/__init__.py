"""The embedded stack: a private Redis, workers, beat and the API server, as child processes."""
