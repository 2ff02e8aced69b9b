"""Talks: REST, server-sent events, the command line and the embedded stack."""
