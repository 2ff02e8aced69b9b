"""What a model says is doubted where nobody can have said it."""

from __future__ import annotations

import pytest

from engines.whisper_model.hallucination import Guess, Sign, judge

SAID = "So we agreed to move the meeting to Thursday, and she will bring the minutes."


def signs(text: str, seconds: float = 6.0, **more: float) -> tuple[Sign, ...]:
    return judge(Guess(text, seconds, **more)).signs


def test_what_people_say_is_believed():
    assert signs(SAID, logprob=-0.3, no_speech=0.1) == ()


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_said_is_nothing_to_doubt(text: str):
    assert signs(text, 0.0, logprob=-5, no_speech=1) == ()


def test_silence_that_speaks_is_left_out():
    verdict = judge(Guess(SAID, 6, logprob=-1.4, no_speech=0.8))
    assert verdict.is_invented
    assert verdict.signs[0] == Sign.NO_SPEECH


@pytest.mark.parametrize(("logprob", "no_speech"), [(-0.2, 0.9), (-1.4, 0.2)])
def test_one_of_both_numbers_alone_leaves_nothing_out(logprob: float, no_speech: float):
    assert not judge(Guess(SAID, 6, logprob=logprob, no_speech=no_speech)).is_invented


def test_a_text_that_was_hardly_understood_is_kept_with_a_doubt():
    assert signs(SAID, logprob=-1.2) == (Sign.UNSURE,)


@pytest.mark.parametrize(
    "text",
    [
        "and I said okay " * 5,
        "no " * 12,
        "the end of the end of the end of the end of the end of",
        "Thank you. " * 20,
        "はい、そうです。" * 12,
    ],
)
def test_loops_are_seen(text: str):
    assert Sign.REPEATS in signs(text, 60)


@pytest.mark.parametrize(
    "text",
    [
        "no no no no, not that one",
        "very very very good",
        "one two one two one two, can you hear me, this is a test of the new microphone",
        "three one four one five nine two six five three five eight nine seven nine three",
        "tick tock tick tock tick tock",
    ],
)
def test_people_may_repeat_themselves(text: str):
    assert signs(text, 20) == ()


def test_more_than_anybody_can_say_is_doubted():
    assert signs(SAID, 1.0) == (Sign.TOO_FAST,)
    assert signs(SAID, 3.0) == ()


def test_two_signs_are_enough():
    verdict = judge(Guess("thank you so much " * 8, 2.0))
    assert verdict.signs == (Sign.REPEATS, Sign.TOO_FAST)
    assert verdict.is_invented
    assert verdict.reason == "it repeats itself and the words are too fast for speech"


@pytest.mark.parametrize("text", ["Thanks for watching!", " THANK YOU FOR WATCHING. "])
def test_a_phrase_that_subtitles_end_with_is_left_out_unless_it_was_heard_clearly(text: str):
    assert judge(Guess(text, 3.0, logprob=-0.7)).is_invented
    assert judge(Guess(text, 3.0, no_speech=0.4)).is_invented
    assert judge(Guess(text, 3.0, logprob=-0.1)).signs == ()
    assert signs(f"{text} and good night", 6.0, logprob=-0.7) == ()


@pytest.mark.parametrize("text", ["Oh!", ". .", "1,5,5 cm", "you", "Hmm."])
def test_sounds_that_are_no_words_are_left_out(text: str):
    """As Whisper base writes them of a cough, a tone, noise, hiss and music."""
    assert judge(Guess(text, 8.0, logprob=-1.05, no_speech=0.55)).is_invented


def test_signs_without_a_letter_are_no_words_however_sure_the_model_is():
    assert judge(Guess("… - .", 3.0, logprob=-0.1)).is_invented


def test_a_loop_where_there_is_no_speech_is_left_out_although_each_round_is_sure():
    assert judge(Guess("4-" * 90, 18.0, logprob=-0.09, no_speech=0.56)).is_invented


def test_a_prompt_that_is_only_repeated_was_not_said():
    prompt = "A talk of Dr. Okonkwo about spirometry."
    echo = Guess("Dr. Okonkwo about spirometry.", 4.0, logprob=-0.7, no_speech=0.2, prompt=prompt)
    assert judge(echo).signs == (Sign.ECHO,)
    assert judge(echo).is_invented


def test_what_the_prompt_foretold_may_well_be_said():
    said = Guess("Dr. Okonkwo", 2.0, logprob=-0.2, no_speech=0.05, prompt="Dr. Okonkwo")
    assert judge(said).signs == ()
