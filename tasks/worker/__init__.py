"""What a worker does beside its steps: heartbeat, memory, metrics, start and shutdown."""
