"""How many connections a process can hold and still open what it needs to answer them."""

from __future__ import annotations

import errno
import resource

#: What `accept` says when there is no descriptor, or no memory, for one more connection.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

#: For the database, Redis, the storage, and libraries that are loaded when they are needed.
RESERVE = 256
#: Of a request at work, beside its connection: the folder and the file of an upload.
OF_A_REQUEST = 2


def count_affordable_connections(wanted: int, threads: int) -> int:
    """How many connections of those *wanted* this process can hold with a reserve for its work.

    As many descriptors as the system grants are asked for.
    """
    limit = _raise_limit(wanted + OF_A_REQUEST * threads + RESERVE)
    left = limit - min(RESERVE, limit // 4)
    # A request at work takes a thread, so no more are at work than there are threads.
    all_at_work = left // (1 + OF_A_REQUEST)
    most = all_at_work if all_at_work < threads else left - OF_A_REQUEST * threads
    return max(min(wanted, most), 1)


def _raise_limit(wanted: int) -> int:
    """The number of descriptors that this process may have, raised to *wanted* where it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return int(soft)
