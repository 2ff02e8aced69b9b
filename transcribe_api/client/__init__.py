"""Clients of the API over HTTP: `Client`, and `AsyncClient`.

Each request and the reading of its response are stated once, in `calls`.
"""

from __future__ import annotations

from transcribe_api.client.asynchronous import AsyncClient
from transcribe_api.client.responses import Event, ServiceError, Unreachable, is_over
from transcribe_api.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "Event", "ServiceError", "Unreachable", "is_over"]
