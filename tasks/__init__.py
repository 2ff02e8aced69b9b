"""Moves: the Celery application, the canvas and one module a step."""

from chordscribe import require_own_packages

require_own_packages()
