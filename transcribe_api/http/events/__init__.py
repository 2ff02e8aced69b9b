"""Long responses: event streams, and callers that wait for a job."""
