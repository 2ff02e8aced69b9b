"""Tells voices apart by their sound, for `engines.classic`."""
