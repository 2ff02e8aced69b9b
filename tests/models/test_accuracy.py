"""What `whisper` hears of real recordings, over REST: word error rates and languages.

The recordings are no part of the repository: ``TRANSCRIBE_TEST_AUDIO`` names their folder, with
``dev/NAME.txt`` beside each (small letters, no punctuation) and its language in
``dev/manifest.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engines import tiny
from tests.models.conftest import require
from tests.models.jobs import Jobs, text_of
from tests.models.scoring import normalize_english, word_error_rate

pytestmark = pytest.mark.processes
needs_transformers = tiny.needs("transformers", "whisperx")

#: Pooled over all English recordings. Measured: base .076, whose language is found; tiny.en .049.
MOST_ERRORS = {"base": 0.10, "tiny.en": 0.08}
#: Some English recordings are two words long.
LEAST_ENGLISH_FOUND = 0.95


@dataclass(frozen=True)
class Spoken:
    """A recording whose words are known."""

    path: Path
    language: str

    @property
    def text(self) -> str:
        return " ".join(self.path.with_suffix(".txt").read_text().split())


@pytest.fixture(scope="module")
def spoken(recordings: Path) -> list[Spoken]:
    manifest = recordings / "dev" / "manifest.json"
    if not manifest.is_file():
        pytest.skip(f"{manifest} is not there, which says in what language recordings are")
    files = json.loads(manifest.read_text())["files"]
    known = (Spoken(manifest.parent / one["file"], one["language"]) for one in files)
    return [one for one in known if one.path.with_suffix(".txt").is_file()]


@pytest.fixture(scope="module")
def heard_by_base(spoken: list[Spoken], jobs: Jobs) -> Mapping[Spoken, dict[str, Any]]:
    require("base")
    results = jobs.transcribe([one.path for one in spoken], model="base", language="auto")
    return dict(zip(spoken, results, strict=True))


def english_errors(heard: Mapping[Spoken, dict[str, Any]]) -> float:
    pairs = [(one.text, text_of(result)) for one, result in heard.items() if one.language == "en"]
    assert pairs
    references, texts = zip(*pairs, strict=True)
    rate = word_error_rate(
        [normalize_english(text) for text in references], [normalize_english(t) for t in texts]
    )
    print(f"WER of {len(pairs)} English recordings: {rate:.4f}")
    return rate


@needs_transformers
def test_base_errs_in_few_words(heard_by_base: Mapping[Spoken, dict[str, Any]]):
    assert english_errors(heard_by_base) <= MOST_ERRORS["base"]


@needs_transformers
def test_tiny_en_errs_in_few_words(spoken: list[Spoken], jobs: Jobs):
    require("tiny.en")
    english = [one for one in spoken if one.language == "en"]
    results = jobs.transcribe([one.path for one in english], model="tiny.en", language="en")
    heard = dict(zip(english, results, strict=True))
    assert english_errors(heard) <= MOST_ERRORS["tiny.en"]


def test_the_language_of_each_recording_is_found(heard_by_base: Mapping[Spoken, dict[str, Any]]):
    found = {one: result["language"] for one, result in heard_by_base.items()}
    wrong = {one.path.name: code for one, code in found.items() if code != one.language}
    print(f"languages that were taken for others: {wrong}")
    english = [one for one in found if one.language == "en"]
    assert not [one for one in found if one.language != "en" and one.path.name in wrong]
    assert sum(one.path.name not in wrong for one in english) >= LEAST_ENGLISH_FOUND * len(english)
