"""The embedded stack as a child process of a program.

It has separate settings, so one program can run several. It ends by itself if the program is
killed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO

from core.access import local_token
from transcribe_api.stack.processes import hold_signals


class StartError(Exception):
    """The stack did not start; the message contains the reason."""


@dataclass(frozen=True, slots=True)
class RunningService:
    """A stack that is ready."""

    url: str
    #: Local token, needed if the stack's database contains keys; see `core.access.local_token`.
    token: str | None


@contextmanager
def run_service(
    settings: Mapping[str, str], *, workers: int = 0, data_dir: Path | None = None
) -> Iterator[RunningService]:
    """Run a service for the block; all of its processes end with it.

    *settings*: environment variables in addition to those of this process. *data_dir*: its data
    directory; None: a temporary folder. Raises `StartError`.
    """
    with _open_folder(data_dir) as folder, _start_process(folder, settings, workers) as process:
        process.wait_until_ready()
        yield RunningService(_read_url(folder), local_token.read_token(folder))


@contextmanager
def _open_folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir.expanduser().resolve()
        return
    with tempfile.TemporaryDirectory(prefix="transcribe-") as scratch:
        yield Path(scratch).resolve()


@contextmanager
def _start_process(
    folder: Path, settings: Mapping[str, str], workers: int
) -> Iterator[_ServiceProcess]:
    command = (
        *(sys.executable, "-m", "transcribe_api", "up", "--port", "0", "--no-flower"),
        *("--data-dir", str(folder), "--workers", str(workers), "--parent", str(os.getpid())),
    )
    # It listens only on this machine, for this program.
    environment = {**os.environ, "AUTH": "auto", **settings}
    with tempfile.TemporaryFile("w+") as errors, ExitStack() as exit_stack:
        with hold_signals():
            # Ctrl-C in a terminal is for the program, which stops the stack when it is ready to.
            process = Popen(
                command, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=errors, text=True,
                start_new_session=True,
            )  # fmt: skip
            exit_stack.enter_context(process)
            exit_stack.callback(_stop_process, process)
        yield _ServiceProcess(process, errors)


def _stop_process(process: Popen[str]) -> None:
    with hold_signals():
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class _ServiceProcess:
    main: Popen[str]
    errors: IO[str]

    def wait_until_ready(self) -> None:
        assert self.main.stdout is not None
        if not self.main.stdout.readline():
            self.main.wait()
            self.errors.seek(0)
            message = self.errors.read().strip().removeprefix("transcribe: ")
            raise StartError(message or f"the service ended with {self.main.returncode}")


def _read_url(folder: Path) -> str:
    url: str = json.loads((folder / "stack.json").read_text())["url"]
    return url
