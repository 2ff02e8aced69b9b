"""HTTP session for the hub's library that detects an unreachable hub within seconds.

By default the library tries to connect six times to each address, with pauses, for each file.
"""

from __future__ import annotations

from typing import Any

import requests
from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled
from requests.adapters import HTTPAdapter

#: Seconds to connect, and between two pieces of a response.
_TIMEOUT = (4.0, 15.0)


class HubUnreachable(OSError):
    """The hub does not answer. The library does not retry after this error."""


class _FailFastAdapter(HTTPAdapter):
    """A transport that gives up at the first address that does not answer."""

    def send(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        if constants.HF_HUB_OFFLINE:
            raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
        try:
            return super().send(request, *args, **{**options, "timeout": _TIMEOUT})
        except (requests.ConnectionError, requests.Timeout) as error:
            raise HubUnreachable from error


def build_session() -> requests.Session:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _FailFastAdapter())
    return session
