"""The API server, server-sent events, the command line and the embedded stack."""

from chordscribe import require_own_packages

require_own_packages()
