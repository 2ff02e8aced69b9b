"""What is only known while it happens, in Redis: progress, living workers, waiting callers."""
