"""docs/formats.md says what the decoder opens."""

from __future__ import annotations

from tests.conftest import ROOT
from tests.house.formats import BEGIN, END, build_table


def test_the_table_of_formats_is_that_of_the_decoder():
    page = (ROOT / "docs/formats.md").read_text()
    table = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert table == build_table(), "write it with: python -m tests.house.formats"
