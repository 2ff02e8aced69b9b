"""Keeps to themselves what neural libraries say about each other.

They warn, each time that they are imported, of decoders that cannot be loaded, such as torchcodec
where FFmpeg's shared libraries are not installed. None is needed: sound is given in memory.
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
