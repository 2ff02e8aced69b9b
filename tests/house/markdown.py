"""Functions of docs/site_hooks.py, loaded by path: a package `docs` may be installed."""

from __future__ import annotations

import runpy

from tests.conftest import ROOT

_hooks = runpy.run_path(str(ROOT / "docs" / "site_hooks.py"))
list_links = _hooks["list_links"]
resolve_link = _hooks["resolve_link"]
slugify = _hooks["slugify"]
split_fences = _hooks["split_fences"]
