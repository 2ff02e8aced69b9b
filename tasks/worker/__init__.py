"""Everything of a worker besides its steps: heartbeat, memory, metrics, startup, shutdown."""
