"""From a recording and options to a job that is on its way."""
