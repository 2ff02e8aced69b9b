"""Limits of open files and connections of the stack's processes."""

from __future__ import annotations

import resource

from transcribe_api.stack.stack_error import StackError

#: Needed by a stack with one process per engine: Redis has the most open, 70 when idle and one more
#: for each concurrent request.
BASE_FILES = 256
#: Redis connections of each further engine process.
FILES_PER_PROCESS = 8
#: Open files of a process besides its connections.
SPARE_FILES = 512


def require_open_files(threads: int, processes: int) -> None:
    """Raise the limit of open files of this process and its children, to serve *threads*.

    Many systems allow 1024 and grant more on request. *processes*: per engine. Raises `StackError`
    if the limit is too low even for the start.
    """
    _raise_limit(2 * threads + SPARE_FILES)
    if obstacle := find_obstacle(processes):
        raise StackError(obstacle)


def find_obstacle(processes: int) -> str | None:
    """Return why a stack with *processes* per engine cannot run, as a sentence, or None."""
    granted, needed = count_granted(), BASE_FILES + FILES_PER_PROCESS * processes
    if granted is None or granted >= needed:
        return None
    return (
        f"a process of this account can have {granted} open files and connections, but {needed} "
        f"are needed: raise the limit with `ulimit -n {needed}` before the start (systemd: "
        "LimitNOFILE=); root may have to raise the hard limit first (/etc/security/limits.conf)"
    )


def count_granted() -> int | None:
    """Return how many files a process can have open at most; None: no limit."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard_limit == resource.RLIM_INFINITY else hard_limit


def _raise_limit(requested: int) -> None:
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard_limit != resource.RLIM_INFINITY:
        requested = min(requested, hard_limit)
    if soft_limit != resource.RLIM_INFINITY and soft_limit < requested:
        resource.setrlimit(resource.RLIMIT_NOFILE, (requested, hard_limit))
