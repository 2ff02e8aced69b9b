"""The steps of a job, one module each, and the helpers of the steps."""
