"""Listens: speech engines and diarizers, with no state but the model."""
