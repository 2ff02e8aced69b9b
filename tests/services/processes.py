"""Server processes that a test starts, kills and starts again."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

#: Seconds that a server is given to come up.
PATIENCE = 90
_PR_SET_PDEATHSIG = 1


class Missing(Exception):
    """A server that cannot be had on this machine; the message says why."""


def install(programs: Mapping[str, str]) -> None:
    """Have Debian's packages installed whose programs are not here. Raises `Missing`."""
    lacking = [name for name in programs if not shutil.which(name)]
    packages = sorted({programs[name] for name in lacking})
    if not packages:
        return
    wish = f"apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"{', '.join(lacking)} is not installed; as root on Debian: {wish}")
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", "--no-upgrade", *packages],
    ):
        done = subprocess.run(
            command, env=quietly, capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise Missing(f"{wish} did not work: {' '.join(last)}")


class Process:
    """A server that ends with the tests, also when they are killed."""

    def __init__(self, command: Sequence[str | Path], log: Path, user: str | None = None) -> None:
        self._command = [str(word) for word in command]
        self._log = log
        self._user = user
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, is_up: Callable[[], object]) -> None:
        """Start it, and wait until it answers. Safe to run twice."""
        if self._child is not None and self._child.poll() is None:
            return
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._child.poll() is None:
            with suppress(OSError, subprocess.SubprocessError):
                if is_up():
                    return
            time.sleep(0.1)
        raise RuntimeError(f"{self._command[0]} does not answer: {self._last_words()}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force if it does not end by itself. Safe to run twice."""
        if self._child is None:
            return
        self._child.send_signal(how)
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def _last_words(self) -> str:
        return " ".join(self._log.read_text(errors="replace").splitlines()[-3:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end_with_parent() -> None:
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
