"""Suppress the warnings of neural libraries about each other.

On every import they warn of decoders that cannot be loaded, such as torchcodec without FFmpeg's
shared libraries. These decoders are not needed: the libraries get samples in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignore_library_warnings() -> Iterator[None]:
    """Ignore warnings in a block that only imports or calls such a library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
