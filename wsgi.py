"""Where WSGI servers and ``flask db upgrade`` find the service."""

from transcribe_api.app import create_app

app = create_app()
