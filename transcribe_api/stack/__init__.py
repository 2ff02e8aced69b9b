"""The embedded stack: a private Redis, workers, beat and the service, as children."""
