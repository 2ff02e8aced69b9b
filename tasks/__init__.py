"""The Celery application, the canvas of a job, and one module per step."""

from chordscribe import require_own_packages

require_own_packages()
