"""No link and no anchor in a Markdown file is dead; the site shows lists as forges do."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.house.markdown import list_links, resolve_link, slugify, split_fences

PAGES = [
    *ROOT.glob("*.md"),
    *(path for name in ("docs", "samples", "tests") for path in (ROOT / name).rglob("*.md")),
]


@cache
def list_anchors(path: Path) -> frozenset[str]:
    lines = (line for line, is_code in split_fences(path.read_text()) if not is_code)
    headings = (re.match(r"#{1,6} +(.*)", line) for line in lines)
    texts = (re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", match[1]) for match in headings if match)
    return frozenset(map(slugify, texts))


@cache
def is_there(target: str) -> bool:
    """Whether a path of the repository exists, in exactly these letters."""
    path = ROOT / target
    return path.resolve() == ROOT or path.name in {child.name for child in path.parent.glob("*")}


def find_dead_links(path: Path) -> list[str]:
    source, dead = path.relative_to(ROOT).as_posix(), []
    for link, anchor in list_links(path.read_text()):
        target = resolve_link(source, link) if link else source
        is_alive = not target.startswith("..") and is_there(target)
        if is_alive and anchor and target.endswith(".md"):
            is_alive = anchor in list_anchors(ROOT / target)
        if not is_alive:
            dead.append(f"{link}#{anchor}" if anchor else link)
    return dead


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(path: Path):
    assert find_dead_links(path) == []


def test_dead_links_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.house.test_links.ROOT", tmp_path)
    is_there.cache_clear()
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("## What `a_b` is, and why\n")
    page = tmp_path / "docs" / "page.md"
    page.write_text(
        "# Page\n[a](../README.md#what-a_b-is-and-why) [b](#page) [`c`](..)\n[d](https://example.org)\n"
        "[e](../README.md#what) [f](#pages) [g](gone.md) [h](../readme.md)\n"
        "```\n[i](gone.md)\n```\n`[j](gone.md)`\n"
    )
    assert find_dead_links(page) == ["../README.md#what", "#pages", "gone.md", "../readme.md"]
    is_there.cache_clear()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_nested_is_indented_by_four_spaces(path: Path):
    """MkDocs takes less for a new list, or for a paragraph of none."""
    lines = [line for line, is_code in split_fences(path.read_text()) if not is_code]
    nested = re.compile(r" {1,3}([-*] |\d+\. )")
    assert [line for line in lines if nested.match(line)] == []
    # After a paragraph of its own, an item ends with an empty line.
    item = re.compile(r"[-*] |\d+\. ")
    assert [two for one, two in pairwise(lines) if one[:4].isspace() and one.strip()
            and item.match(two)] == []  # fmt: skip
    assert re.findall(r"^ {1,3}```", path.read_text(), re.MULTILINE) == []
