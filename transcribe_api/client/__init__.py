"""HTTP clients of the service, without dependencies on its code: `Client` and `AsyncClient`.

`calls` defines all requests once; the two clients differ only in how they send them.
"""

from __future__ import annotations

from transcribe_api.client.asynchronous import AsyncClient
from transcribe_api.client.responses import Event, ServiceError, Unreachable, is_over
from transcribe_api.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "Event", "ServiceError", "Unreachable", "is_over"]
