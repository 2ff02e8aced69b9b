"""Word error rates: of words that are spelled alike, over all recordings together."""

from __future__ import annotations

import re
from collections.abc import Sequence

import jiwer


def simplify(text: str) -> str:
    """Small letters without punctuation, as the references of the samples are written."""
    return " ".join(re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower().replace("’", "'")))


def normalize_english(text: str) -> str:
    """The same with numbers, contractions and fillers as Whisper's makers count them."""
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    normalized: str = EnglishTextNormalizer({})(text)
    return normalized


def word_error_rate(spoken: Sequence[str], heard: Sequence[str]) -> float:
    """Errors of all texts together by the words of all references together."""
    rate: float = jiwer.wer(list(spoken), list(heard))
    return rate
