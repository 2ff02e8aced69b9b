"""The life of jobs and their parts: compare-and-set state changes, one module per concern."""
