"""How many connections a process can hold and still open what it needs to answer them."""

from __future__ import annotations

import errno
import resource

#: What `accept` says when there is no descriptor, or no memory, for one more connection.
EXHAUSTION_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

#: For the database, Redis, the storage, and libraries that are loaded when they are needed.
RESERVED_DESCRIPTORS = 256
#: Of a request at work, beside its connection: the folder and the file of an upload.
DESCRIPTORS_PER_REQUEST = 2


def count_affordable_connections(requested: int, threads: int) -> int:
    """How many connections of those *requested* this process can hold with a reserve for its work.

    As many descriptors as the system grants are asked for.
    """
    limit = _raise_limit(requested + DESCRIPTORS_PER_REQUEST * threads + RESERVED_DESCRIPTORS)
    available = limit - min(RESERVED_DESCRIPTORS, limit // 4)
    # A request at work takes a thread, so no more are at work than there are threads.
    all_at_work = available // (1 + DESCRIPTORS_PER_REQUEST)
    maximum = (
        all_at_work if all_at_work < threads else available - DESCRIPTORS_PER_REQUEST * threads
    )
    return max(min(requested, maximum), 1)


def _raise_limit(requested: int) -> int:
    """The number of descriptors that this process may have, raised to *requested* if allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return requested
    maximum = requested if hard == resource.RLIM_INFINITY else min(requested, hard)
    if soft < maximum:
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, hard))
        return maximum
    return int(soft)
