"""The steps of a job, one module each, and what a step needs besides its queue."""
