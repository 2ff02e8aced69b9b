"""The embedded stack in a process of its own, for a program that wants it for a while.

It has its own settings, so that one program can have several; and it ends by itself when the
program is killed.
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

from core import local_token
from transcribe_api.processes import signals_held


class StartError(Exception):
    """The stack did not come up; the message says why."""


@dataclass(frozen=True, slots=True)
class Started:
    """A stack that answers."""

    url: str
    #: What opens it, should its records hold keys; see `core.local_token`.
    token: str | None


@contextmanager
def running(
    settings: Mapping[str, str], *, workers: int = 0, data_dir: Path | None = None
) -> Iterator[Started]:
    """A service that ends with the block, together with all of its processes.

    *settings*: environment variables beside those of this process. *data_dir*: where everything is
    kept; without it, in a scratch folder that goes with the block. Raises `StartError`.
    """
    with _folder(data_dir) as folder, _process(folder, settings, workers) as process:
        process.wait_until_ready()
        yield Started(_address(folder), local_token.read(folder))


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir.expanduser().resolve()
        return
    with tempfile.TemporaryDirectory(prefix="transcribe-") as scratch:
        yield Path(scratch).resolve()


@contextmanager
def _process(folder: Path, settings: Mapping[str, str], workers: int) -> Iterator[_Process]:
    command = (
        *(sys.executable, "-m", "transcribe_api", "up", "--port", "0", "--no-flower"),
        *("--data-dir", str(folder), "--workers", str(workers), "--parent", str(os.getpid())),
    )
    # It listens on this machine alone, for this program alone.
    environment = {**os.environ, "AUTH": "auto", **settings}
    with tempfile.TemporaryFile("w+") as errors, ExitStack() as ended:
        with signals_held():
            # Ctrl-C in a terminal is for the program, which ends the stack when it is ready to.
            process = Popen(
                command, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=errors, text=True,
                start_new_session=True,
            )  # fmt: skip
            ended.enter_context(process)
            ended.callback(_end, process)
        yield _Process(process, errors)


def _end(process: Popen[str]) -> None:
    with signals_held():
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True)
class _Process:
    main: Popen[str]
    errors: IO[str]

    def wait_until_ready(self) -> None:
        assert self.main.stdout is not None
        if not self.main.stdout.readline():
            self.main.wait()
            self.errors.seek(0)
            told = self.errors.read().strip().removeprefix("transcribe: ")
            raise StartError(told or f"the service ended with {self.main.returncode}")


def _address(folder: Path) -> str:
    url: str = json.loads((folder / "stack.json").read_text())["url"]
    return url
