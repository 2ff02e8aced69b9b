"""Documentation of the API: as OpenAPI for programs, as a page for people."""

from __future__ import annotations

import json

from flask import Blueprint, Response, current_app

from transcribe_api.schemas import openapi

bp = Blueprint("docs", __name__)

_EXTENSION_KEY = "openapi document"

#: The page only runs its own scripts and only connects to this service. Swagger UI sets inline
#: styles and has icons inside its style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@bp.get("/openapi.json")
def document() -> Response:
    """Return every route with its inputs and responses, as OpenAPI 3.1."""
    extensions = current_app.extensions
    if _EXTENSION_KEY not in extensions:  # in reading order
        extensions[_EXTENSION_KEY] = json.dumps(openapi.build_document(current_app))
    return Response(extensions[_EXTENSION_KEY], mimetype="application/json")


@bp.get("/docs")
def page() -> Response:
    """Return the interactive documentation page, which contacts no other machine."""
    response = current_app.send_static_file("docs.html")
    response.headers["Content-Security-Policy"] = POLICY
    return response
