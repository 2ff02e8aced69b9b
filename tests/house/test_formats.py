"""docs/formats.md says what the decoder opens."""

from __future__ import annotations

import re

from chunking.decode.container import FORMATS
from tests.conftest import ROOT
from tests.house.formats import BEGIN, END, build_table


def read_names(table: str) -> set[str]:
    """Return the names and endings in a table; titles differ between releases of FFmpeg."""
    return set(re.findall(r"`([^`]+)`", table))


def test_the_table_of_formats_is_that_of_the_decoder():
    page = (ROOT / "docs/formats.md").read_text()
    written = read_names(page.partition(BEGIN)[2].partition(END)[0])
    assert written == read_names(build_table()), "write it with: python -m tests.house.formats"
    assert set(FORMATS.split(",")) <= written
