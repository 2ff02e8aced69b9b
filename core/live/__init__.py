"""Short-lived state in Redis: progress, live workers, waiting callers."""
