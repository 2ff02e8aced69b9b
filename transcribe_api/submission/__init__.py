"""Turn a recording and its options into a job, and send it to the queue."""
