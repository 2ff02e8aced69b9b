"""How many files and connections a process of the stack may have open, and how many it needs."""

from __future__ import annotations

import resource

from transcribe_api.stack_error import StackError

#: What a stack needs whose engines have one process each: its Redis has the most open, 70 at rest
#: and one more for each request that is answered at the same time.
LEAST = 256
#: Connections to Redis of each further process of the engines.
OF_A_PROCESS = 8
#: Files that a process may have open beside its connections.
SPARE = 512


def require(threads: int, processes: int) -> None:
    """Let this process, and those that it starts, have as many files open as serve *threads*.

    Many systems allow 1024 and grant more to whoever asks. *processes*: of each engine. Raises
    `StackError` when not even enough to start is granted.
    """
    _raise_limit(2 * threads + SPARE)
    if obstacle := find_obstacle(processes):
        raise StackError(obstacle)


def find_obstacle(processes: int) -> str | None:
    """Why a stack with so many *processes* of each engine cannot run, as a sentence."""
    granted, needed = count_granted(), LEAST + OF_A_PROCESS * processes
    if granted is None or granted >= needed:
        return None
    return (
        f"a process of this account may have {granted} files and connections open, and {needed} "
        f"are needed: allow more with `ulimit -n {needed}` before it is started (systemd: "
        "LimitNOFILE=), which root may have to raise first (/etc/security/limits.conf)"
    )


def count_granted() -> int | None:
    """How many files a process may have open if it asks for all it can get; None: any number."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most


def _raise_limit(wanted: int) -> None:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
