"""PocketSphinx in the way of a service that makes one task of one file: nothing is ever cut."""

from __future__ import annotations

from dataclasses import replace

from engines.catalog import SPHINX, Requirement

ONE_TASK = replace(
    SPHINX,
    name="onetask",
    title="PocketSphinx, one task a file",
    requires=Requirement("transcribe_onetask"),
    # A day: longer than any recording.
    chunk_seconds=24 * 3600.0,
)
