"""Limits of the decoder process: what it may open, start, write, allocate and compute."""

from __future__ import annotations

import resource


def restrict_process(memory_bytes: int, cpu_seconds: int, last_descriptor: int) -> None:
    """Drop all permissions that decoding does not need; without privileges this is irreversible.

    *last_descriptor*: the highest one in use.
    """
    limits = {
        # No descriptor beyond those in use: open(), socket() and pipe() all fail from now on.
        # Unlike a network sandbox, this needs no privilege and no namespace.
        resource.RLIMIT_NOFILE: last_descriptor + 1,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        # To the kernel, no second at all is one second.
        resource.RLIMIT_CPU: max(1, cpu_seconds),
        resource.RLIMIT_AS: memory_bytes,
    }
    for limit, value in limits.items():
        # At the soft limit of processor time comes SIGXCPU, which nobody else sends, and only at
        # the hard one SIGKILL, which the kernel also sends when the machine runs out of memory.
        _set_limit(limit, value, value + (limit == resource.RLIMIT_CPU))


def _set_limit(limit: int, soft: int, hard: int) -> None:
    present = resource.getrlimit(limit)[1]
    if present != resource.RLIM_INFINITY:
        soft, hard = min(soft, present), min(hard, present)
    resource.setrlimit(limit, (soft, hard))
