"""Access tokens, for what cannot send a key."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from transcribe_api import auth
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.system import AccessToken

bp = Blueprint("tokens", __name__, url_prefix="/api/transcribe/auth")


@bp.post("/token")
@documented(Answer(200, AccessToken))
def create() -> ResponseReturnValue:
    """A token for `?access_token=` of a stream, where a browser cannot send the key itself."""
    told = {"access_token": auth.token(), "expires_in": auth.TOKEN_SECONDS}
    return jsonify(told), 200, {"Cache-Control": "no-store"}
