"""Parsing and checks of settings: addresses, folders, origins, and error messages."""
