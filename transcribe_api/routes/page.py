"""The web page: send recordings, watch the transcript grow, read and listen."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app

from core.settings import settings

bp = Blueprint("page", __name__)

#: The page may load only its own files and recordings in storage, and no text that it shows can
#: become a script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; media-src {media}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


@bp.get("/")
def show() -> Response:
    """Return the page; it requests everything else from this service."""
    response = current_app.send_static_file("page/index.html")
    media = " ".join(("'self'", "blob:", *_list_storage_origins()))
    response.headers["Content-Security-Policy"] = _POLICY.format(media=media)
    return response


def _list_storage_origins() -> list[str]:
    """Return the origin of links to recordings, if it is not this service."""
    config = settings()
    if not config.minio_endpoint or config.minio_public_url == "none":
        return []
    scheme = "https" if config.minio_use_ssl else "http"
    address = urlsplit(config.minio_public_url or f"{scheme}://{config.minio_endpoint}")
    return [f"{address.scheme}://{address.netloc}"]
