"""A client of the service, with no dependency on it but HTTP: `Client`, and `AsyncClient`.

What a service can be asked is written down once, in `calls`; the two differ in how they send it.
"""

from __future__ import annotations

from transcribe_api.client.asynchronous import AsyncClient
from transcribe_api.client.responses import Event, ServiceError, Unreachable, is_over
from transcribe_api.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "Event", "ServiceError", "Unreachable", "is_over"]
