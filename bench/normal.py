"""Texts as they are compared: spelling, numbers and contractions in one form."""

from __future__ import annotations

from functools import lru_cache

from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer


@lru_cache(maxsize=2)
def _normalizer(language: str) -> EnglishTextNormalizer | BasicTextNormalizer:
    return EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()


def normalize(text: str, language: str = "en") -> str:
    """The text in small letters without punctuation, by the rules of openai/whisper."""
    return str(_normalizer(language)(text))
