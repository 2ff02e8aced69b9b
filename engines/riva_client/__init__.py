"""Talks to NVIDIA's speech servers, for `engines.riva`."""
