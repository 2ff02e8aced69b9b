"""The state of a job and the words of its chunks, as callers see them while it runs."""
