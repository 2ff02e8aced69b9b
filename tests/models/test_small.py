"""The smallest job with real weights, which every change must pass: ``make test-models-small``."""

from __future__ import annotations

import pytest

from tests.integration.conftest import SAMPLE
from tests.models.conftest import MODEL_DIR, require
from tests.models.jobs import Jobs, text_of, words_of
from tests.models.scoring import simplify, word_error_rate

pytestmark = pytest.mark.processes

#: Of the sample conversation. Measured: .023.
MOST_ERRORS = 0.05


@pytest.fixture(autouse=True)
def needs_weights() -> None:
    require("tiny.en")


def test_the_sample_conversation_is_heard_by_tiny_en(jobs: Jobs):
    (result,) = jobs.transcribe([SAMPLE], model="tiny.en", language="en")
    spoken = " ".join(SAMPLE.with_suffix(".txt").read_text().split())
    assert word_error_rate([spoken], [simplify(text_of(result))]) <= MOST_ERRORS
    starts = [word["start"] for word in words_of(result)]
    assert starts == sorted(starts)
    assert result["warnings"] == []


def test_its_weights_are_the_makers():
    from engines.models.pinned_models import MODELS

    assert MODELS["tiny.en"].find_mismatches(MODEL_DIR / "tiny.en") == []
