"""Settings, errors, database records, job state, storage and progress."""
