"""A Riva server for tests: the stand-in, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.conftest import wait_until


class Server:
    """A running stand-in and what it told."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "riva_sim", "--port", str(port), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        wait_until(lambda: self._told("listening on "))
        self.port = int(self._told("listening on ")[0].rpartition(":")[2])

    @property
    def uri(self) -> str:
        return f"localhost:{self.port}"

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The recognitions that were asked for so far."""
        return [json.loads(line) for line in self._told("{")]

    def meets(self, event: str) -> None:
        """Let this happen to the next recognition that nothing was said of."""
        before = len(self._told("next: "))
        assert self.process.stdin is not None
        self.process.stdin.write(event + "\n")
        self.process.stdin.flush()
        wait_until(lambda: len(self._told("next: ")) > before)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)

    def _told(self, beginning: str) -> list[str]:
        return [line for line in tuple(self._lines) if line.startswith(beginning)]


@contextmanager
def riva(*arguments: str, port: int = 0) -> Iterator[Server]:
    """Run the stand-in for as long as the block lasts."""
    server = Server(*arguments, port=port)
    try:
        yield server
    finally:
        server.end()
