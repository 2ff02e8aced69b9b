"""Roles of speakers: told by cues, and by nothing else."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts.speakers.role_lexicons import LEXICONS
from transcripts.speakers.roles import (
    CLEAR_SCORE,
    MIN_SCORE,
    MIN_WORDS,
    Role,
    find_roles,
    normalize_phrase,
)

CONSULTATION = LEXICONS["consultation"]
LEXICON = {"agent": ["how may I help", "your account"], "caller": ["my order", "refund"]}
FILLER = "and so on for a while without any word that tells more of it than this "

ENGLISH = [
    (0, "Good morning, I'm Doctor Smith. What brings you in today?"),
    (1, "Hi, doctor. I've been having a headache for three days, and it gets worse at night."),
    (0, "How long have you had it? Does it hurt when you move your head?"),
    (1, "Yes, it hurts a lot, and I feel dizzy. I take ibuprofen, but my stomach is bad."),
    (0, "Okay. I'll prescribe something else, five hundred milligrams twice a day."),
]
PORTUGUESE = [
    (4, "Bom dia, como posso ajudar? Há quanto tempo a senhora sente essa dor no peito?"),
    (2, "Bom dia, doutor. Sinto dor faz três dias, e estou preocupada. Não consigo dormir."),
    (4, "Vou examinar a senhora agora. Respire fundo, por favor. A senhora toma algum remédio?"),
    (2, "Eu tomo um remédio para a pressão, e fico tonta quando levanto de manhã cedo."),
]

texts = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 3)),
        st.lists(
            st.sampled_from(["how may I help", "your account", "my order", "refund", "a", "the?"]),
            max_size=30,
        ).map(" ".join),
    ),
    max_size=12,
)


def names(found: dict[int, Role]) -> dict[int, str | None]:
    return {speaker: role.name for speaker, role in found.items()}


def cues(phrase: str, times: int, filler: int = 5) -> str:
    return " ".join([phrase] * times) + " " + FILLER * filler


@pytest.mark.parametrize(
    ("said", "roles"),
    [(ENGLISH, {0: "provider", 1: "patient"}), (PORTUGUESE, {4: "provider", 2: "patient"})],
)
def test_a_consultation_tells_who_is_who(said, roles):
    found = find_roles(said, CONSULTATION)
    assert names(found) == roles
    assert all(MIN_SCORE <= role.score <= 1 for role in found.values())


def test_small_talk_tells_nobodys_role():
    said = [(0, FILLER * 20), (1, f"{FILLER * 20} The weather is nice today, isn't it?")]
    assert find_roles(said, CONSULTATION) == {0: Role(None, 0.0), 1: Role(None, 0.0)}


@given(texts)
def test_the_order_of_segments_does_not_matter(said):
    assert find_roles(said, LEXICON) == find_roles(said[::-1], LEXICON)


@given(texts, st.permutations(range(4)))
def test_other_numbers_for_the_speakers_move_their_roles(said, renamed):
    moved = [(None if speaker is None else renamed[speaker], text) for speaker, text in said]
    found = {renamed[speaker]: role for speaker, role in find_roles(said, LEXICON).items()}
    assert find_roles(moved, LEXICON) == found


@given(texts)
def test_other_names_for_the_roles_change_nothing_else(said):
    swapped = {"caller": LEXICON["agent"], "agent": LEXICON["caller"]}
    other = {"caller": "agent", "agent": "caller", None: None}
    found = {
        speaker: Role(other[role.name], role.score)
        for speaker, role in find_roles(said, LEXICON).items()
    }
    assert find_roles(said, swapped) == found


@given(texts)
def test_nobody_gets_a_role_whose_cues_he_does_not_say(said):
    for speaker, role in find_roles(said, LEXICON).items():
        mine = " | ".join(text for other, text in said if other == speaker)
        assert 0 <= role.score <= 1
        assert role.name is None or any(cue in mine for cue in LEXICON[role.name])
        assert role.name is None or len(normalize_phrase(mine)) >= MIN_WORDS


@given(texts)
def test_a_role_is_shared_by_those_alone_of_whom_it_is_clear(said):
    told = [role for role in find_roles(said, LEXICON).values() if role.name]
    for one, other in itertools.combinations(told, 2):
        assert one.name != other.name or min(one.score, other.score) >= CLEAR_SCORE


def test_two_doctors_and_a_patient():
    doctors = {0: cues("your account", 20), 1: cues("your account", 20)}
    said = [*doctors.items(), (2, cues("my order", 20, filler=30))]
    assert names(find_roles(said, LEXICON)) == {0: "agent", 1: "agent", 2: "caller"}


def test_of_two_who_speak_alike_neither_has_the_role():
    said = [(0, cues("refund", 9)), (1, cues("refund", 9))]
    assert names(find_roles(said, LEXICON)) == {0: None, 1: None}


def test_who_says_the_cues_of_two_roles_has_neither():
    said = [(0, cues("refund", 9) + cues("your account", 9)), (1, FILLER * 20)]
    assert names(find_roles(said, LEXICON)) == {0: None, 1: None}


def test_a_single_cue_may_be_a_quotation():
    found = find_roles([(0, cues("refund", 1)), (1, FILLER)], LEXICON)
    assert found[0].name is None
    assert 0.5 < found[0].score < MIN_SCORE
    assert find_roles([(0, cues("refund", 2)), (1, FILLER)], LEXICON)[0].name == "caller"


def test_a_few_words_tell_nothing():
    said = [(0, "My order! My order! A refund, a refund!"), (1, FILLER * 3)]
    assert names(find_roles(said, LEXICON)) == {0: None, 1: None}


def test_what_counts_is_how_often_and_not_how_much():
    """Who talks ten times as much, and says a few more of the cues, has them rarely."""
    said = [(0, cues("refund", 8, filler=4)), (1, cues("refund", 12, filler=100))]
    assert names(find_roles(said, LEXICON)) == {0: "caller", 1: None}


def test_who_is_alone_must_say_more_than_chance_would():
    assert names(find_roles([(0, cues("refund", 9))], LEXICON)) == {0: "caller"}
    assert names(find_roles([(0, cues("refund", 9, filler=400))], LEXICON)) == {0: None}


def test_cues_are_whole_words_without_regard_to_accents_and_capitals():
    lexicon = {"a": ["Dói", "I’ve had it", "头疼"], "b": ["in"]}
    said = [
        (0, f"DOI? i've HAD, it! {FILLER * 5}"),
        (1, f"我头疼，头疼。 {FILLER * 5}"),
        (2, "inn thing " * 20),
    ]
    found = find_roles(said, lexicon)
    assert found[0].score > 0
    assert found[1].score > 0
    assert found[2] == Role(None, 0.0)


def test_a_question_mark_is_a_word_of_a_cue():
    assert normalize_phrase("any pain.") != normalize_phrase("Any pain?")
    said = [(0, "Any pain? " * 3 + FILLER * 3), (1, "Hardly any pain. " * 3 + FILLER * 3)]
    assert names(find_roles(said, {"asks": ["any pain?"]})) == {0: "asks", 1: None}


def test_of_cues_that_begin_alike_the_longer_one_is_counted_once():
    score = find_roles(
        [(0, cues("refund my order", 3)), (1, FILLER * 5)], {"a": ["refund", "refund my order"]}
    )
    assert score == find_roles(
        [(0, cues("refund my order", 3)), (1, FILLER * 5)], {"a": ["refund my order"]}
    )


@pytest.mark.parametrize("lexicon", LEXICONS.values())
def test_the_lexicons_that_come_with_the_house_say_each_cue_once(lexicon):
    said = [normalize_phrase(cue) for cues_of_role in lexicon.values() for cue in cues_of_role]
    assert all(said)
    assert sorted({*said}) == sorted(said)
