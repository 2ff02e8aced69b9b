"""Workers as an operator starts them, beside a stack that has none for their queues."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil

from tests.integration.conftest import RunningStack

#: What only engines load: none of it belongs into the service, nor most of it into another engine.
LIBRARIES = ("torch", "numpy", "sklearn", "pocketsphinx", "ctranslate2", "onnxruntime", "grpc")


@contextmanager
def worker(
    stack: RunningStack, queues: str, processes: int = 1, **settings: str
) -> Iterator[psutil.Process]:
    """A worker for these queues, until the block ends."""
    with (stack.data_dir / f"{queues}-by-hand.log").open("ab") as log:
        process = psutil.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "tasks", "worker", "-Q", queues),
                *("-n", f"{queues}-by-hand@%h", "-c", str(processes)),
            ],
            # Marked, so that whatever is left of it ends with the stack.
            env={**stack.environment, **settings, "TRANSCRIBE_STACK": str(stack.data_dir)},
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).resolve().parents[2],
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def available(stack: RunningStack, engine: str) -> bool:
    """Whether the service says that the engine is there."""
    told = httpx2.get(f"{stack.url}/api/transcribe/jobs/engines").json()
    return bool(told["engines"][engine]["available"])


def loaded(process: psutil.Process) -> set[str]:
    """Those of the libraries that the process has in its memory."""
    files = {mapped.path for mapped in process.memory_maps()}
    return {name for name in LIBRARIES if any(f"/{name}/" in path for path in files)}
