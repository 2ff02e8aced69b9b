"""Measures speed and memory. Machines differ, so each figure stands beside its floor in one run."""
