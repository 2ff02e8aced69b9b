"""Identify the caller and check the scope of the key, before any body is read."""

from __future__ import annotations

import uuid
from contextlib import suppress

from flask import Flask, current_app, g, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from core.access import keys, local_token, secrets
from core.access.keys import Scope
from core.db.models import ApiKeyRow
from core.db.transactions import read_session, transaction
from core.errors import Forbidden, InvalidApiKey, Unauthorized, Unavailable
from transcribe_api.http import route_docs
from transcribe_api.http.auth import exposure, rate_limits
from transcribe_api.http.auth import guard as auth_guard
from transcribe_api.http.auth.guard import Caller

#: Seconds for which an access token is valid.
TOKEN_SECONDS = 3600

#: Blueprints of pages for people, which contain no user data.
_PUBLIC_BLUEPRINTS = frozenset({"docs", "page"})
#: Prefixes of routes that only administrators may use.
_ADMIN_PREFIXES = ("/metrics", "/api/transcribe/system/")
#: Endpoints whose method does not show the needed scope: creating a token changes nothing, and the
#: webhook secret allows forging webhooks.
_SCOPE_OVERRIDES = {"tokens.create": Scope.READ, "webhooks.secret": Scope.WRITE}
#: `EventSource` reads it, which cannot send a header.
_STREAM_ENDPOINT = "jobs.follow"


def install_authentication(app: Flask) -> None:
    """Check every request of this application.

    The caller is identified first, then the request is counted, and only then it may be refused. So
    requests with wrong keys are counted, too.
    """
    app.before_request(_identify_caller)
    rate_limits.install_rate_limits(app)
    app.before_request(_check_scope)


def create_stream_token() -> str:
    """Return a token that replaces the caller's key in the address of a stream.

    A key must not appear in an address. The token gives the key's read access, and is valid until
    it expires or the key is revoked.
    """
    return _build_signer().dumps(str(auth_guard.caller().key_id or ""))


def _identify_caller() -> None:
    g.refusal = None
    g.caller = auth_guard.NOBODY
    if _is_public():
        return
    if not exposure.is_key_required(request.environ):
        g.caller = auth_guard.ANYBODY
        return
    try:
        g.caller = _find_caller()
    except Unauthorized as refusal:
        g.refusal = refusal


def _check_scope() -> None:
    if g.refusal is not None:
        raise g.refusal
    scope = _find_needed_scope()
    if scope is not None and scope not in auth_guard.caller().scopes:
        held_scopes = ", ".join(sorted(auth_guard.caller().scopes))
        raise Forbidden(f"this request needs a key with the scope {scope}; yours has {held_scopes}")


def _is_public() -> bool:
    if request.endpoint == "static" or request.blueprint in _PUBLIC_BLUEPRINTS:
        return True
    view = current_app.view_functions.get(request.endpoint or "")
    route = route_docs.find_route(view) if view else None
    return route is not None and route.public


def _find_needed_scope() -> Scope | None:
    # Any valid key may learn that a path does not exist.
    if request.url_rule is None or _is_public():
        return None
    if request.url_rule.rule.startswith(_ADMIN_PREFIXES):
        return Scope.ADMIN
    is_read = request.method in ("GET", "HEAD", "OPTIONS")
    return _SCOPE_OVERRIDES.get(request.endpoint or "", Scope.READ if is_read else Scope.WRITE)


def _find_caller() -> Caller:
    key, stream_token = _read_key(), _read_stream_token()
    if key is None and stream_token is None:
        raise Unauthorized("send a key, in the header Authorization: Bearer KEY or X-API-Key: KEY")
    if key is not None and _is_own_token(key):
        return auth_guard.ANYBODY
    with read_session() as session:
        row = (
            keys.verify_key(session, key)
            if key is not None
            else _find_token_key(session, stream_token or "")
        )
    if row is None:
        raise InvalidApiKey("this key or token is not valid, or has expired")
    _record_use(row)
    scopes = keys.expand_scopes(row.scopes)
    if key is None:
        scopes -= {Scope.WRITE}
    return Caller(row.owner_id, scopes, key_id=row.id, per_minute=row.per_minute)


def _read_key() -> str | None:
    authorization = request.authorization
    if authorization is not None and authorization.type == "bearer":
        return authorization.token
    return request.headers.get("X-API-Key")


def _is_own_token(text: str) -> bool:
    return exposure.is_sent_from_this_machine(request.environ) and local_token.is_token(text)


def _read_stream_token() -> str | None:
    return request.args.get("access_token") if request.endpoint == _STREAM_ENDPOINT else None


def _find_token_key(session: Session, text: str) -> ApiKeyRow | None:
    try:
        key_id = _build_signer().loads(text, max_age=TOKEN_SECONDS)
    except BadSignature:
        return None
    # A token without an id was created while no key was required.
    return keys.find_active_key(session, uuid.UUID(key_id)) if key_id else None


def _record_use(row: ApiKeyRow) -> None:
    if keys.is_use_stale(row):
        # Optional: the request succeeds without it.
        with suppress(Unavailable), transaction() as session:
            keys.record_use(session, row.id)


def _build_signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secrets.get_secret("links"), salt="access")
