"""Hooks of MkDocs: what the site shows from outside docs/, and anchors as forges make them.

Links in Markdown files are relative to the file, so that they work on a forge. In the site, a link
to a file outside docs/ leads to a copy of that file as text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Files outside docs/ that are pages of the site, and their names there.
PAGES = {
    "README.md": "quick-start.md",
    "README.pt.md": "inicio.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
#: The folder of the site for copies of other files.
COPIES = "source"

_FENCE = re.compile(r"^ *(```|~~~)")
_LINK = re.compile(r"\]\((?![a-z]+:|/)([^)\s#]*)(#[^)\s]*)?\)")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_MERMAID = re.compile(r"^```mermaid\n.*?^```\n", re.MULTILINE | re.DOTALL)


def slugify(heading: str, separator: str = "-") -> str:
    """Return the anchor of a heading, as forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def split_fences(markdown: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it is code between fences."""
    is_code = False
    for line in markdown.splitlines(keepends=True):
        is_fence = bool(_FENCE.match(line))
        yield line, is_code or is_fence
        is_code ^= is_fence


def list_links(markdown: str) -> list[tuple[str, str]]:
    """Return path and anchor of each link inside the repository; no path: the same file."""
    text = "".join(line for line, is_code in split_fences(markdown) if not is_code)
    links = _LINK.finditer(_INLINE_CODE.sub("", text))
    return [(link[1], (link[2] or "").removeprefix("#")) for link in links]


def resolve_link(source: str, link: str) -> str:
    """Return the path of a link's target in the repository; *source*: that of the file with it."""
    return os.path.normpath(PurePosixPath(source).parent / link)


def on_config(config: Any) -> Any:
    """Have anchors made by `slugify`."""
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slugify
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from outside docs/, and copies of all files that pages link to."""
    from mkdocs.structure.files import File

    for source, name in PAGES.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    for page in files.documentation_pages():
        source = _find_source(page.src_uri)
        for link, _ in list_links(page.content_string):
            target = resolve_link(source, link)
            name = _find_name(target)
            if not (link and name.startswith(COPIES)) or files.get_file_from_path(name):
                continue
            path = ROOT / target
            if path.is_dir():
                listing = "\n".join(sorted(child.name for child in path.iterdir()))
                files.append(File.generated(config, name, content=listing))
            elif path.exists():
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to where their targets are in the site."""
    source, name = _find_source(page.file.src_uri), page.file.src_uri

    def lead(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0]
        target = _find_name(resolve_link(source, match[1]))
        return f"]({os.path.relpath(target, PurePosixPath(name).parent)}{match[2] or ''})"

    # The theme would draw it with a script from the network.
    drawn = "The picture is in [architecture](docs/architecture.md#processing-of-a-job).\n"
    markdown = _MERMAID.sub(drawn, markdown)
    return "".join(
        line if is_code else _LINK.sub(lead, line) for line, is_code in split_fences(markdown)
    )


def _find_source(name: str) -> str:
    """The path in the repository of a page of the site."""
    return next((source for source, page in PAGES.items() if page == name), f"docs/{name}")


def _find_name(target: str) -> str:
    """The path in the site of a file of the repository."""
    if target in PAGES:
        return PAGES[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    # MkDocs leaves out what begins with a dot.
    return f"{COPIES}/{target.lstrip('.').replace('/.', '/')}.txt"
