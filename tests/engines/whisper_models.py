"""Tiny models of Whisper in one folder, and how what they hear is compared with what is said."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.engines import tiny
from tests.engines.tiny import Digit
from transcripts.types import Transcription

#: What the model `talker` says of any sound.
WORDS = [f"{a}{b}" for a in ("ba", "do", "ki", "lu", "mo", "ne") for b in ("ra", "so", "ti", "vu")]


def write_models(folder: Path) -> Path:
    """A folder of models as an operator may have it, with some that say always the same."""
    from tests.engines import tiny_whisper

    tiny.model_dir(folder)
    tiny_whisper.build(folder / "german", "guten tag wie geht es dir", "de")
    tiny_whisper.build(folder / "polish", "dobry wieczor wam", "pl")
    tiny_whisper.build(folder / "english.en", "good evening to all", multilingual=False)
    tiny_whisper.build(folder / "talker", " ".join(WORDS), "en")
    shutil.copytree(folder / "german", folder / "broken")
    (folder / "broken" / "tokenizer.json").unlink()
    return folder


def texts(heard: Transcription) -> list[str]:
    return [word.text for word in heard.words]


def differences(heard: Transcription, said: Sequence[Digit]) -> list[float]:
    """Seconds between each word and its digit, after a look whether all are there in order."""
    assert texts(heard) == [digit.text for digit in said]
    assert all(one.end <= other.end for one, other in itertools.pairwise(heard.words))
    for word in heard.words:
        assert word.start <= word.end
        assert word.confidence is not None
        assert 0 <= word.confidence <= 1
    return [abs(word.start - digit.start) for word, digit in zip(heard.words, said, strict=True)]
