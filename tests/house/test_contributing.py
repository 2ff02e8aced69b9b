"""CONTRIBUTING.md names files, functions and targets that exist; the README leads to answers."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ROOT
from tests.house.markdown import list_links, resolve_link

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
README = (ROOT / "README.md").read_text()
#: Stand for a file that is still to be made.
PLACEHOLDER = "NAME"

QUESTIONS = re.findall(r"^\| (Where .*?|Which .*?)\? \| (.*?) \| (.*?) \|$", TEXT, re.MULTILINE)


def list_definitions(source: str) -> set[str]:
    """Functions, classes and methods of a module, methods as ``Class.method``."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, kinds):
            names.add(node.name)
            inner = node.body if isinstance(node, ast.ClassDef) else []
            names |= {f"{node.name}.{one.name}" for one in inner if isinstance(one, kinds)}
    return names


def is_defined(reference: str) -> bool:
    path, _, name = reference.partition(":")
    file = ROOT / path
    return file.is_file() and name in list_definitions(file.read_text())


def list_references(text: str) -> list[str]:
    return re.findall(r"[\w./-]+\.py:[A-Za-z_][\w.]*\w", text)


def test_every_file_that_is_named_exists():
    endings = "py|md|js|json|html|yml|yaml|toml|txt|sh|xz"
    named = set(re.findall(rf"(?<![\w./-])[\w.-]+(?:/[\w.-]+)*\.(?:{endings})\b", TEXT))
    named |= set(re.findall(r"`((?:tests|docs|\.ci)/[\w/.-]+)`", TEXT))
    assert len(named) > 50
    assert [name for name in sorted(named) if not (ROOT / name).exists()
            and PLACEHOLDER not in name] == []  # fmt: skip


def test_every_function_that_is_named_exists():
    references = list_references(TEXT)
    assert len(references) > 20
    assert [one for one in references if not is_defined(one)] == []


def test_a_function_that_is_gone_is_found():
    assert is_defined("tests/house/test_contributing.py:is_defined")
    assert not is_defined("tests/house/test_contributing.py:is_gone")
    assert list_definitions("class A:\n  def b(self): ...") == {"A", "A.b"}


def test_every_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", TEXT))
    assert len(named) > 15
    assert named <= targets


def test_targets_of_ci_are_marked():
    marked = set(re.findall(r"^\| `make ([a-z-]+)` \* \|", TEXT, re.MULTILINE))
    called = set(re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    assert marked == called - {"setup"}


def test_there_are_ten_questions():
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize(
    ("question", "answer", "page"), QUESTIONS, ids=[one[0] for one in QUESTIONS]
)
def test_the_readme_leads_to_the_answer_in_two_steps(question: str, answer: str, page: str):
    [(path, _)] = list_links(page)
    assert path in {resolve_link("README.md", link) for link, _ in list_links(README)}
    for reference, (file, _) in zip(list_references(answer), list_links(answer), strict=True):
        assert reference.partition(":")[0] == file
    first, *_ = list_links(answer)
    assert first[0] in (ROOT / path).read_text(), f"{path} does not name {first[0]}"
