"""Web pages that may use the service from a browser.

Any page can make its reader's browser send a form to any address, even to one that only that
browser can reach. Browsers state the origin of such a request. Other programs do not, and are not
affected.
"""

from __future__ import annotations

from flask import Request, Response

from core.errors import CrossOrigin
from core.settings import settings

#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Values of ``Sec-Fetch-Site`` for our own page and for direct navigation.
_OWN_SITES = frozenset({"same-origin", "none"})

_CORS = {
    "Access-Control-Expose-Headers": (
        "Location, Content-Disposition, Content-Range, ETag, Retry-After, "
        "Idempotency-Replayed, X-Request-ID"
    ),
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, X-API-Key, Idempotency-Key, Last-Event-ID, Range, "
        "If-Range, If-None-Match, X-Request-ID"
    ),
    "Access-Control-Max-Age": "600",
}


def refuse_other_pages(request: Request) -> None:
    """Raise `CrossOrigin` if a page of another site makes a browser change something."""
    if request.method in SAFE_METHODS or _is_configured(request):
        return
    site = request.headers.get("Sec-Fetch-Site")
    is_own = _is_own_origin(request) if site is None else site in _OWN_SITES
    if not is_own:
        raise CrossOrigin(
            "a page of another site cannot change anything here; the operator of this service "
            "can add the site to CORS_ORIGINS"
        )


def answer_preflight(request: Request) -> Response | None:
    """Return the response to a CORS preflight request of a configured site, or None.

    Preflight requests never carry a key.
    """
    is_preflight = "Access-Control-Request-Method" in request.headers
    if request.method == "OPTIONS" and is_preflight and _is_configured(request):
        return Response(status=204, headers=_PREFLIGHT)
    return None


def allow_reading(request: Request, response: Response) -> None:
    """Allow pages of configured sites to read the response."""
    if not settings().cors_origins:
        return
    response.vary.add("Origin")
    if _is_configured(request):
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers.update(_CORS)


def _is_configured(request: Request) -> bool:
    return request.headers.get("Origin", "").lower() in settings().cors_origins


def _is_own_origin(request: Request) -> bool:
    """Return whether ``Origin`` is missing, or is the address of the request.

    The scheme is ignored: a proxy forwards HTTPS requests by HTTP.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    host = request.headers.get("Host", "").lower()
    return origin.lower() == settings().public_url or (
        bool(host) and origin.lower() in (f"http://{host}", f"https://{host}")
    )
