"""What callers are told of a job while it runs: its state, and the words of its chunks."""
