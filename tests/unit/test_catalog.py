"""The catalog: what engines there are, whoever brings them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import EngineError, InvalidInput
from engines import catalog
from tests import packages

ROOT = Path(__file__).resolve().parents[2]


def _python(program: str, *folders: Path) -> str:
    """Run a program in a fresh interpreter that finds this checkout and the folders."""
    path = os.pathsep.join(str(folder) for folder in (*folders, ROOT))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


SPEC = """
from engines.catalog import EngineSpec, Requirement
SPEC = EngineSpec("{name}", "Theirs", "theirs:Engine", Requirement("json"), memory_mb=1)
"""


@pytest.mark.parametrize("name", ["whisper", "sphinx", "asr", "whisperx"])
def test_engine_has_a_queue_of_its_own(name: str) -> None:
    assert catalog.recognizer(name).queue == f"asr.{name}"


@pytest.mark.parametrize("name", ["classic", "neural", "pyannote", "riva"])
def test_diarizer_has_a_queue_of_its_own(name: str) -> None:
    assert catalog.diarizer(name).queue == f"diarize.{name}"


def test_unknown_engine_names_the_field_and_what_is_allowed() -> None:
    with pytest.raises(InvalidInput, match=r"'siri'.*asr, sphinx, whisper, whisperx") as caught:
        catalog.recognizer("siri")
    assert caught.value.field == "engine"


def test_unknown_diarizer_names_the_field_and_what_is_allowed() -> None:
    with pytest.raises(InvalidInput, match=r"'ear'.*classic, neural, pyannote") as caught:
        catalog.diarizer("ear")
    assert caught.value.field == "diarizer"


@pytest.mark.parametrize(
    ("language", "speaks"),
    [
        *[(tag, True) for tag in ("en", "en-US", "en_us", "EN-GB", None)],
        *[(tag, False) for tag in ("pt-BR", "e", "eng", "")],
    ],
)
def test_sphinx_speaks_english_only(language: str | None, speaks: bool) -> None:
    assert catalog.SPHINX.supports_language(language) is speaks


def test_an_engine_without_a_list_of_languages_speaks_all() -> None:
    assert catalog.WHISPERX.supports_language("pt-BR")


def test_a_language_with_region_is_not_another_region() -> None:
    spec = catalog.EngineSpec(
        "x", "X", "x:X", catalog.Requirement("x"), memory_mb=1, languages=("pt-BR",)
    )
    assert spec.supports_language("pt-BR")
    assert spec.supports_language("pt")
    assert not spec.supports_language("pt-PT")


def test_embedded_engines_are_installed() -> None:
    assert catalog.SPHINX.is_installed() == (sys.version_info[:2] != (3, 12))
    assert catalog.CLASSIC.is_installed()


def test_an_engine_that_is_not_there_is_known_but_not_installed() -> None:
    spec = catalog.EngineSpec("x", "X", "no.such:X", catalog.Requirement("json", "x"), memory_mb=1)
    assert not spec.is_installed()
    with pytest.raises(EngineError, match=r"in the checkout with: pip install -e '\.\[x\]'"):
        catalog.load(spec)


def test_an_engine_whose_library_is_missing_is_not_installed() -> None:
    requires = catalog.Requirement("no_such_library.part")
    assert not catalog.EngineSpec("x", "X", "engines.sphinx:Sphinx", requires, 1).is_installed()


def test_auto_stands_for_engines_and_diarizers_that_there_are() -> None:
    assert set(catalog.ENGINES_BY_PREFERENCE) <= catalog.recognizers().keys()
    assert set(catalog.DIARIZERS_BY_PREFERENCE) <= catalog.diarizers().keys()


@pytest.mark.parametrize(
    ("language", "model", "speaks"),
    [
        *[(tag, None, True) for tag in ("pt-BR", "nb", "zh-TW", None)],
        ("ga", None, False),
        *[("en-GB", "tiny.en", True), ("pt", "tiny.en", False), (None, "tiny.en", True)],
    ],
)
def test_whisper_speaks_what_its_model_does(
    language: str | None, model: str | None, speaks: bool
) -> None:
    assert catalog.supports_language(catalog.WHISPER, language, model) is speaks


def test_catalog_imports_nothing_heavy_and_no_engine() -> None:
    heavy = "pocketsphinx sklearn scipy numpy torch webrtcvad whisperx riva engines.sphinx"
    out = _python(
        "import sys; from engines import catalog; catalog.recognizers(); catalog.diarizers();"
        "[spec.is_installed() for spec in catalog.recognizers().values()];"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    assert out.strip() == "[]"


def test_built_in_engines_are_found_without_being_installed() -> None:
    out = _python(
        "import importlib.metadata as m; m.entry_points = lambda **_: ();"
        "from engines import catalog; print(*catalog.recognizers(), *catalog.diarizers())"
    )
    engines = ["whisper", "sphinx", "asr", "whisperx"]
    assert out.split() == [*engines, "classic", "neural", "pyannote", "riva"]


def test_somebody_elses_engine_is_found(tmp_path: Path) -> None:
    code = SPEC.format(name="theirs")
    packages.install(tmp_path, "theirs", code, {"theirs": "theirs:SPEC"}, packages.ENGINES)
    program = "from engines import catalog; print(catalog.recognizer('theirs').queue)"
    assert _python(program, tmp_path).strip() == "asr.theirs"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("broken:SPEC", "raise RuntimeError('cannot be imported')"),
        ("broken:SPEC", ""),
        ("broken:SPEC", "SPEC = 'not a spec'"),
        ("broken:SPEC", SPEC.format(name="sphinx")),
    ],
    ids=["does not import", "names nothing", "names something else", "takes our name"],
)
def test_a_broken_package_is_left_out(tmp_path: Path, value: str, code: str) -> None:
    packages.install(tmp_path, "broken", code, {"broken": value}, packages.ENGINES)
    program = (
        "from engines import catalog;"
        "print(*catalog.recognizers(), catalog.recognizer('sphinx').title)"
    )
    out = _python(program, tmp_path)
    assert "sphinx asr whisperx PocketSphinx\n" in out
    assert ("Ignored entry point" in out) or "theirs" in code
