"""Access tokens, for clients that cannot send a key."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from transcribe_api.http.auth import authentication
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.system import AccessToken

bp = Blueprint("tokens", __name__, url_prefix="/api/transcribe/auth")


@bp.post("/token")
@document_route(Answer(200, AccessToken))
def create() -> ResponseReturnValue:
    """Create a token for `?access_token=` of a stream, where a browser cannot send a key."""
    payload = {
        "access_token": authentication.create_stream_token(),
        "expires_in": authentication.TOKEN_SECONDS,
    }
    return jsonify(payload), 200, {"Cache-Control": "no-store"}
