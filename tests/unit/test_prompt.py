"""Prompt and terms share what Whisper reads; terms give way first, and somebody is told."""

from __future__ import annotations

from engines.whisper_model.prompt import MAX_TOKENS, PROMPT_CUT, TERMS_CUT, build_prompt


def encode(text: str) -> list[int]:
    """A token a character."""
    return [ord(character) for character in text]


def decode(tokens: tuple[int, ...]) -> str:
    return "".join(map(chr, tokens))


def test_terms_come_first_with_commas_between_them():
    prompt = build_prompt(["spirometry", "Okonkwo"], "A talk.", encode)
    assert decode(prompt.tokens) == " spirometry, Okonkwo A talk."
    assert prompt.text == "spirometry Okonkwo A talk."
    assert prompt.remarks == ()


def test_nothing_to_read_is_nothing():
    assert build_prompt([], None, encode).tokens == ()
    assert build_prompt([], "  ", encode).tokens == ()


def test_terms_give_way_to_the_prompt_the_weakest_first():
    prompt = build_prompt(["strong", "w" * 100, "weak"], "p" * 200, encode)
    assert decode(prompt.tokens) == " strong " + "p" * 200
    assert prompt.remarks == (TERMS_CUT,)


def test_of_a_prompt_that_is_too_long_the_end_is_read():
    prompt = build_prompt(["term"], "a" * 300 + "b" * MAX_TOKENS, encode)
    assert decode(prompt.tokens) == "b" * MAX_TOKENS
    assert prompt.remarks == (PROMPT_CUT, TERMS_CUT)


def test_there_is_never_more_than_fits():
    for size in (0, 1, MAX_TOKENS - 1, MAX_TOKENS, MAX_TOKENS + 1, 5 * MAX_TOKENS):
        prompt = build_prompt(["term"] * 50, "x" * size, encode)
        assert len(prompt.tokens) <= MAX_TOKENS
