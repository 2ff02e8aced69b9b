"""The life of jobs and their parts: compare-and-set changes of state, a module a concern."""
