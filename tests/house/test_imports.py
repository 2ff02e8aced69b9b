"""What several files of tests need is in `tests/factories` or a `conftest.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.conftest import ROOT

TEST_MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "tests").rglob("test_*.py")
}


def list_imported_names(code: str, package: tuple[str, ...]) -> Iterator[str]:
    """List the full names of modules and of what is imported from them, also in functions."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                above = package[: len(package) + 1 - node.level] if node.level else ()
                module = ".".join([*above, *filter(None, [node.module])])
                yield from (f"{module}.{alias.name}" for alias in node.names)


def find_imported_tests(code: str, package: tuple[str, ...]) -> list[str]:
    """Find what code imports of files of tests: the files, or names in them."""
    names = list_imported_names(code, package)
    return [name for name in names if {name, name.rpartition(".")[0]} & TEST_MODULES]


def test_no_file_imports_from_a_file_of_tests():
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := find_imported_tests(path.read_text(), path.relative_to(ROOT).parts[:-1]))
    }
    assert found == {}


def test_an_import_from_a_file_of_tests_is_found():
    code = """
import tests.house.test_house
from tests.house import test_house
from tests.conftest import ROOT
def later():
    from . import test_names
    from .test_names import PARTICIPLES
    from ..house.test_names import MAX_SHARE
    from ..receiver import test_something
"""
    assert find_imported_tests(code, ("tests", "house")) == [
        "tests.house.test_house",
        "tests.house.test_house",
        "tests.house.test_names",
        "tests.house.test_names.PARTICIPLES",
        "tests.house.test_names.MAX_SHARE",
    ]
