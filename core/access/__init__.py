"""Access control: keys, secrets, idempotent requests, and resources named by users."""
