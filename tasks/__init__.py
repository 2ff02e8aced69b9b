"""Moves: the Celery application, the canvas and one module a step."""
