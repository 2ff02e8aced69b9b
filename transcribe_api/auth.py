"""Who sends a request, and whether their key allows it: found out before any body is read."""

from __future__ import annotations

import uuid
from contextlib import suppress

from flask import Flask, current_app, g, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import Session

from core import keys, local_token, secrets
from core.db import reading, transaction
from core.errors import Forbidden, Unauthorized, Unavailable, WrongKey
from core.keys import Scope
from core.models import ApiKeyRow
from transcribe_api import access, documented, exposure, limits
from transcribe_api.access import Caller

#: Seconds for which an access token works.
TOKEN_SECONDS = 3600

#: Blueprints of pages for people, which hold nothing of anybody's.
_PAGES = frozenset({"docs", "page"})
#: What only an administrator may see; the beginnings of rules.
_OF_ADMINISTRATORS = ("/metrics", "/api/transcribe/system/")
#: Endpoints whose method does not tell what they are: a token changes nothing, and whoever has the
#: secret can write webhooks.
_EXCEPTIONS = {"tokens.create": Scope.READ, "webhooks.secret": Scope.WRITE}
#: Read by `EventSource`, which cannot send a header.
_STREAM = "jobs.follow"


def guard(app: Flask) -> None:
    """Have every request of this application looked at.

    First who sends it is found out, then it is counted, and only then it may be refused: so wrong
    keys are counted too.
    """
    app.before_request(_recognize)
    limits.count(app)
    app.before_request(_admit)


def token() -> str:
    """Stands for the caller's key where that must not be written: in the address of a stream.

    It shows what the key shows and changes nothing; it ends with its time, or with the key.
    """
    return _signer().dumps(str(access.caller().key_id or ""))


def _recognize() -> None:
    g.refusal = None
    g.caller = access.NOBODY
    if _is_public():
        return
    if not exposure.keys_are_asked_for(request.environ):
        g.caller = access.ANYBODY
        return
    try:
        g.caller = _known_caller()
    except Unauthorized as refusal:
        g.refusal = refusal


def _admit() -> None:
    if g.refusal is not None:
        raise g.refusal
    scope = _needed_scope()
    if scope is not None and scope not in access.caller().scopes:
        has = ", ".join(sorted(access.caller().scopes))
        raise Forbidden(f"this needs a key with the scope {scope}; yours has {has}")


def _is_public() -> bool:
    if request.endpoint == "static" or request.blueprint in _PAGES:
        return True
    view = current_app.view_functions.get(request.endpoint or "")
    route = documented.of(view) if view else None
    return route is not None and route.public


def _needed_scope() -> Scope | None:
    # Of what is not there, any key may learn that it is not.
    if request.url_rule is None or _is_public():
        return None
    if request.url_rule.rule.startswith(_OF_ADMINISTRATORS):
        return Scope.ADMIN
    looks = request.method in ("GET", "HEAD", "OPTIONS")
    return _EXCEPTIONS.get(request.endpoint or "", Scope.READ if looks else Scope.WRITE)


def _known_caller() -> Caller:
    key, given_token = _sent_key(), _sent_token()
    if key is None and given_token is None:
        raise Unauthorized("send a key, in the header Authorization: Bearer KEY or X-API-Key: KEY")
    if key is not None and _is_own_token(key):
        return access.ANYBODY
    with reading() as session:
        row = keys.find(session, key) if key is not None else _holder(session, given_token or "")
    if row is None:
        raise WrongKey("this key or token opens nothing: it is wrong, or no longer valid")
    _note_use(row)
    scopes = keys.allowed(row.scopes)
    if key is None:
        scopes -= {Scope.WRITE}
    return Caller(row.owner_id, scopes, key_id=row.id, per_minute=row.per_minute)


def _sent_key() -> str | None:
    given = request.authorization
    if given is not None and given.type == "bearer":
        return given.token
    return request.headers.get("X-API-Key")


def _is_own_token(text: str) -> bool:
    return exposure.is_sent_from_this_machine(request.environ) and local_token.is_token(text)


def _sent_token() -> str | None:
    return request.args.get("access_token") if request.endpoint == _STREAM else None


def _holder(session: Session, text: str) -> ApiKeyRow | None:
    try:
        key_id = _signer().loads(text, max_age=TOKEN_SECONDS)
    except BadSignature:
        return None
    # Without an id it was given when nobody was asked for a key.
    return keys.active(session, uuid.UUID(key_id)) if key_id else None


def _note_use(row: ApiKeyRow) -> None:
    if keys.is_use_to_be_noted(row):
        # A note; no request fails for want of it.
        with suppress(Unavailable), transaction() as session:
            keys.note_use(session, row.id)


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secrets.of("links"), salt="access")
