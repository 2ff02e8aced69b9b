"""A package index on the loopback, as pip asks for one, and the wheels that it has."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from engines.models.pinned_models import Wheel


@dataclass
class Index:
    """Its files by their names, and what was asked of it."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    #: Files of which only so many bytes are sent.
    breaks_off: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def downloads(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.requests if path.startswith("/files/")]

    def page(self, project: str) -> str:
        names = [name for name in self.files if _project(name) == project]
        return "".join(f'<a href="/files/{name}">{name}</a>\n' for name in names)


def _project(file_name: str) -> str:
    return re.sub(r"[-_.]+", "-", file_name.split("-")[0]).lower()


def build_wheel(name: str, members: Mapping[str, bytes], tag: str = "py3-none-any") -> bytes:
    """A wheel of version 1.0 with these files, whatever their names are."""
    info = f"{name}-1.0.dist-info"
    about = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{info}/RECORD": b"",
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in {**members, **about}.items():
            archive.writestr(path, content)
    return data.getvalue()


def pin(name: str, data: bytes, tag: str = "py3-none-any") -> Wheel:
    """What is known beforehand of a wheel."""
    return Wheel(f"{name}-1.0-{tag}.whl", len(data), hashlib.sha256(data).hexdigest())


@contextmanager
def running(index: Index) -> Iterator[Index]:
    """Have it answer for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests.append(self.path)
            folder, _, name = self.path.strip("/").partition("/")
            if folder == "simple":
                self._reply(200, index.page(name.strip("/")).encode(), "text/html")
            elif folder == "files" and name in index.files:
                data = index.files[name]
                self._reply(200, data, "application/octet-stream", index.breaks_off.get(name))
            else:
                self._reply(404, b"", "text/plain")

        def _reply(self, status: int, body: bytes, kind: str, sent: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:sent])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        index.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
