"""How many files and connections a process of the stack may have open, and how many it needs."""

from __future__ import annotations

import resource

from transcribe_api.stack.stack_error import StackError

#: What a stack needs whose engines have one process each: its Redis has the most open, 70 at rest
#: and one more for each request that is answered at the same time.
BASE_FILES = 256
#: Connections to Redis of each further process of the engines.
FILES_PER_PROCESS = 8
#: Files that a process may have open beside its connections.
SPARE_FILES = 512


def require_open_files(threads: int, processes: int) -> None:
    """Let this process, and those that it starts, have as many files open as serve *threads*.

    Many systems allow 1024 and grant more to whoever asks. *processes*: of each engine. Raises
    `StackError` when not even enough to start is granted.
    """
    _raise_limit(2 * threads + SPARE_FILES)
    if obstacle := find_obstacle(processes):
        raise StackError(obstacle)


def find_obstacle(processes: int) -> str | None:
    """Why a stack with so many *processes* of each engine cannot run, as a sentence."""
    granted, needed = count_granted(), BASE_FILES + FILES_PER_PROCESS * processes
    if granted is None or granted >= needed:
        return None
    return (
        f"a process of this account may have {granted} files and connections open, and {needed} "
        f"are needed: allow more with `ulimit -n {needed}` before it is started (systemd: "
        "LimitNOFILE=), which root may have to raise first (/etc/security/limits.conf)"
    )


def count_granted() -> int | None:
    """How many files a process may have open if it asks for all it can get; None: any number."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard_limit == resource.RLIM_INFINITY else hard_limit


def _raise_limit(requested: int) -> None:
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard_limit != resource.RLIM_INFINITY:
        requested = min(requested, hard_limit)
    if soft_limit != resource.RLIM_INFINITY and soft_limit < requested:
        resource.setrlimit(resource.RLIMIT_NOFILE, (requested, hard_limit))
