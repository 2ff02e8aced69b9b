"""Whisper's prompt: the prompt of a job and the expected terms.

Both share 223 tokens: half of the model's context, less one. Every window gets them, and never the
text of the window before, since one error would then persist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.whisper_model.vocabulary import Remark
from transcripts.warning import WarningCode

#: Most tokens of prompt and terms together, as in openai/whisper.
MAX_TOKENS = 223

Encode = Callable[[str], list[int]]

TERMS_CUT = Remark(
    WarningCode.TERMS_CUT,
    "not all expected terms fit beside the prompt; those with the lowest weight were dropped",
)
PROMPT_CUT = Remark(
    WarningCode.PROMPT_CUT,
    f"the prompt is longer than {MAX_TOKENS} tokens of Whisper; only its end was used",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens, and what the caller should know about them."""

    tokens: tuple[int, ...] = ()
    #: The text of the tokens.
    text: str = ""
    #: Warnings about parts that did not fit.
    remarks: tuple[Remark, ...] = ()


def build_prompt(terms: Sequence[str], text: str | None, encode: Encode) -> Prompt:
    """Build a prompt of the terms, strongest first, and the *text*; terms are cut first."""
    encoded = encode(" " + text.strip()) if text and text.strip() else []
    prompt_tokens = encoded[-MAX_TOKENS:]
    term_tokens = _encode_terms(terms, MAX_TOKENS - len(prompt_tokens), encode)
    remarks = []
    if len(prompt_tokens) < len(encoded):
        remarks.append(PROMPT_CUT)
    if term_tokens.count < len(terms):
        remarks.append(TERMS_CUT)
    prompt_text = " ".join([*terms, text or ""]).strip()
    return Prompt((*term_tokens.tokens, *prompt_tokens), prompt_text, tuple(remarks))


@dataclass(frozen=True, slots=True)
class _TermTokens:
    tokens: list[int]
    count: int


def _encode_terms(terms: Sequence[str], limit: int, encode: Encode) -> _TermTokens:
    """Encode as many of the first terms as fit, separated by commas."""
    tokens: list[int] = []
    for count, term in enumerate(terms):
        encoded = encode(f", {term}" if count else f" {term}")
        if len(tokens) + len(encoded) > limit:
            return _TermTokens(tokens, count)
        tokens += encoded
    return _TermTokens(tokens, len(terms))
