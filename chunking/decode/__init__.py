"""Decode any audio or video to samples, in a child process with limits."""
