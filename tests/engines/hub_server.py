"""A hub on the loopback: real HTTP, as far as `huggingface_hub` asks for it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = hashlib.sha1(b"the commit").hexdigest()
TOKEN = "hf_very_secret"


@dataclass
class Hub:
    """One that has a repository, and what was asked of it."""

    url: str = ""
    repository: str = "Systran/faster-whisper-tiny"
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    is_gated: bool = False
    #: What arrives in the place of some files.
    damaged: dict[str, bytes] = field(default_factory=dict)
    #: Files of which only so many bytes are sent, once.
    breaks_off: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)

    def siblings(self) -> list[dict]:
        return [self._sibling(name, data) for name, data in self.files.items()]

    def _sibling(self, name: str, data: bytes) -> dict:
        about: dict = {"rfilename": name, "size": len(data), "blobId": _blob(data)}
        if name in self.large:
            about["lfs"] = {"sha256": _sha256(data), "size": len(data), "pointerSize": 134}
        return about

    def etag(self, name: str) -> str:
        return (_sha256 if name in self.large else _blob)(self.files[name])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """Have it answer for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(is_head=True)

        def do_GET(self) -> None:
            self._answer(is_head=False)

        def _answer(self, *, is_head: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path, self.headers.get("Range")))
            if hub.is_gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._refuse(401, "GatedRepo")
            elif found := re.fullmatch(r"/api/models/(.+?)/revision/(.+)", path):
                self._tell(*found.groups())
            elif found := re.fullmatch(r"/(.+?)/resolve/(.+?)/(.+)", path):
                self._send(*found.groups(), is_head=is_head)
            else:
                self._refuse(404, "RepoNotFound")

        def _tell(self, repository: str, revision: str) -> None:
            if repository != hub.repository:
                self._refuse(404, "RepoNotFound")
            elif revision not in ("main", "v1", COMMIT):
                self._refuse(404, "RevisionNotFound")
            else:
                told = {"id": repository, "sha": COMMIT, "siblings": hub.siblings()}
                self._reply(200, json.dumps(told).encode(), Content_Type="application/json")

        def _send(self, repository: str, commit: str, name: str, *, is_head: bool) -> None:
            assert (repository, commit) == (hub.repository, COMMIT), "nothing but that commit"
            data = hub.damaged.get(name, hub.files[name])
            headers = {"X_Repo_Commit": COMMIT, "ETag": f'"{hub.etag(name)}"'}
            if name in hub.large:
                headers |= {"X_Linked_Etag": headers["ETag"], "X_Linked_Size": str(len(data))}
            begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            first = int(begin[1]) if begin else 0
            if begin:
                headers["Content_Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            self._reply(206 if begin else 200, data[first:], name, is_head=is_head, **headers)

        def _refuse(self, status: int, code: str) -> None:
            self._reply(status, b"{}", X_Error_Code=code)

        def _reply(
            self, status: int, body: bytes, name: str = "", *, is_head: bool = False, **headers: str
        ) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content_Length": str(len(body))}.items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            if not is_head:
                self.wfile.write(body[: hub.breaks_off.pop(name, None)])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
