"""The gate: checks before the caller is identified, and headers of every response.

a request ─▶ host name ─▶ origin page ─▶ key ─▶ route
"""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest

from transcribe_api.http.auth import authentication
from transcribe_api.http.gate import headers, hosts, origins

#: Headers from which gunicorn takes the path prefix that a proxy uses. The prefix is set by the
#: environment variable of that name; from a request it could only bypass a proxy's rules.
_PATH_HEADERS = ("HTTP_SCRIPT_NAME", "HTTP_PATH_INFO")


def install_gate(app: Flask) -> None:
    """Install the gate before all routes of this application.

    Call it right after `request_log.install_request_log`.
    """
    app.before_request(_check_request)
    app.after_request(_add_security_headers)
    authentication.install_authentication(app)


def _check_request() -> Response | None:
    if any(name in request.environ for name in _PATH_HEADERS):
        raise BadRequest("the headers SCRIPT_NAME and PATH_INFO are not accepted in requests")
    hosts.refuse_other_hosts(request.environ)
    origins.refuse_other_pages(request)
    return origins.answer_preflight(request)


def _add_security_headers(response: Response) -> Response:
    for name, value in headers.SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    origins.allow_reading(request, response)
    return response
