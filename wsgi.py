"""The Flask application for WSGI servers and ``flask db upgrade``."""

from transcribe_api.app import create_app

app = create_app()
