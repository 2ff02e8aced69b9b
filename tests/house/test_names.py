"""Names are those of the field: no name of 0.1 comes back, and functions are verbs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.factories.source_files import PACKAGES, list_sources

#: Words that say what became of something, and not what it is or does.
PARTICIPLES = frozenset(
    [
        "told",
        "heard",
        "taken",
        "given",
        "found",
        "asked",
        "made",
        "kept",
        "sent",
        "said",
        "known",
        "seen",
        "filled",
        "shown",
        "named",
        "timed",
        "loaded",
        "fetched",
        "stored",
        "begun",
        "done",
        "written",
        "left",
        "held",
        "counted",
        "decoded",
        "called",
        "used",
        "built",
        "met",
        "wanted",
        "tried",
    ]
)
#: Share of public functions that such a word may lead.
MAX_SHARE = 0.02
#: Files at the root of a package.
MAX_FILES = 16


@cache
def read_old_names() -> dict[str, frozenset[str]]:
    """Modules and identifiers, from the list beside this file."""
    names: dict[str, set[str]] = {}
    section: set[str] = set()
    for line in Path(__file__).with_name("old_names.txt").read_text().splitlines():
        if line.startswith("["):
            section = names.setdefault(line.strip("[]"), set())
        elif line and not line.startswith("#"):
            section.add(line)
    return {title: frozenset(values) for title, values in names.items()}


def list_identifiers(tree: ast.AST) -> Iterator[str]:
    """Everything that code names: definitions, variables, parameters, attributes and imports."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Name():
                yield node.id
            case ast.Attribute():
                yield node.attr
            case ast.arg() | ast.keyword(arg=str()):
                yield str(node.arg)
            case ast.alias():
                yield node.asname or node.name


def list_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str()):
                yield str(node.module)
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", list_sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_uses_a_name_of_0_1(path: Path):
    tree, old = ast.parse(path.read_text()), read_old_names()
    assert set(list_identifiers(tree)) & old["identifiers"] == set()
    assert set(list_modules(tree)) & old["modules"] == set()


def test_no_module_of_0_1_is_there_again():
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in list_sources()}
    assert files & read_old_names()["modules"] == set()


def test_the_list_of_old_names_can_fail():
    code = "from core import canary\nfor told in heard_again(): pass"
    tree, old = ast.parse(code), read_old_names()
    assert set(list_identifiers(tree)) & old["identifiers"] == {"told", "heard_again"}
    assert set(list_modules(tree)) & old["modules"] == {"core.canary"}


def test_public_functions_are_verbs():
    names = [
        node.name
        for path in list_sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]
    led = [name for name in names if name.split("_")[0] in PARTICIPLES]
    assert len(led) <= MAX_SHARE * len(names), led


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_few_files_at_its_root(package: str):
    assert len(list((ROOT / package).glob("*.py"))) <= MAX_FILES


def test_no_two_public_classes_have_one_name():
    names = [
        node.name
        for path in list_sources()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []
