"""Compute how many connections a process can hold while it can still answer them."""

from __future__ import annotations

import errno
import resource

#: Errors of `accept` without a free descriptor, or memory, for a connection.
EXHAUSTION_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

#: For the database, Redis, the storage, and libraries that are loaded on demand.
RESERVED_DESCRIPTORS = 256
#: Descriptors of an active request besides its connection: folder and file of an upload.
DESCRIPTORS_PER_REQUEST = 2


def count_affordable_connections(requested: int, threads: int) -> int:
    """Return how many of the *requested* connections this process can hold with a reserve.

    Raises the process's descriptor limit as far as the system allows.
    """
    limit = _raise_limit(requested + DESCRIPTORS_PER_REQUEST * threads + RESERVED_DESCRIPTORS)
    available = limit - min(RESERVED_DESCRIPTORS, limit // 4)
    # An active request takes a thread, so there are at most as many as threads.
    all_at_work = available // (1 + DESCRIPTORS_PER_REQUEST)
    maximum = (
        all_at_work if all_at_work < threads else available - DESCRIPTORS_PER_REQUEST * threads
    )
    return max(min(requested, maximum), 1)


def _raise_limit(requested: int) -> int:
    """Return the process's descriptor limit, raised to *requested* if allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return requested
    maximum = requested if hard == resource.RLIM_INFINITY else min(requested, hard)
    if soft < maximum:
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, hard))
        return maximum
    return int(soft)
