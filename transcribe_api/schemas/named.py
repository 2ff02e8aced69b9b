"""What callers name: sessions, contexts with terms to expect, and speakers."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from core.errors import InvalidInput
from transcribe_api.bodies import Body, Line, line_schema, one_line
from transcribe_api.schemas.common import EXAMPLE_ID, Moment, NextCursor
from transcripts.lexicons import LEXICONS
from transcripts.roles import fold

#: More terms than this help no engine.
MOST_TERMS = 1000
#: How much likelier a phrase may be made, or less likely below 0.
STRONGEST_BOOST = 100
#: More roles, and more cues of one, than a conversation has.
MOST_ROLES, MOST_CUES = 10, 300
#: A role's name, which is shown beside the speaker's.
LONGEST_ROLE = 50
ROLE = rf"[^\W_]([\w -]{{0,{LONGEST_ROLE - 2}}}[^\W_])?"
#: Characters of a speaker's name.
LONGEST_SPEAKER = 100


class SessionWhole(Body):
    """All that a caller can say of a session."""

    name: Line = Field(examples=["Monday"])


class SessionChange(Body):
    """What is not sent stays as it is; null would be neither."""

    name: Line = Field(default="", examples=["Monday"])


class Session(BaseModel):
    """A session, which callers put transcripts under."""

    session_id: UUID = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["Monday"])
    created_at: Moment
    updated_at: Moment


class SessionPage(BaseModel):
    """Sessions, newest first."""

    sessions: list[Session]
    next_cursor: NextCursor


class Term(Body):
    """A phrase to expect."""

    phrase: Line = Field(examples=["metformin"])
    boost: float = Field(
        ge=-STRONGEST_BOOST,
        le=STRONGEST_BOOST,
        description="How much likelier it is made, or less likely below 0.",
        examples=[20.0],
    )


def _each_once(terms: list[Term]) -> list[Term]:
    first: dict[str, int] = {}
    for at, term in enumerate(terms):
        before = first.setdefault(term.phrase, at)
        if before != at:
            # Not a ValueError, which pydantic would lay to the whole list.
            field = f"terms.{at}.phrase"
            raise InvalidInput(f"{field}: the same phrase as terms.{before}.phrase", field=field)
    return terms


Terms = Annotated[list[Term], Field(max_length=MOST_TERMS), AfterValidator(_each_once)]


Cues = Annotated[list[Line], Field(min_length=1, max_length=MOST_CUES)]


def _named_or_spelled_out(
    roles: object, spelled_out: ValidatorFunctionWrapHandler
) -> dict[str, list[str]] | str:
    if isinstance(roles, str) and roles not in LEXICONS:
        told = "Allowed: roles with their cues, or one of: {names}"
        raise PydanticCustomError("lexicon", told, {"names": ", ".join(LEXICONS)})
    return roles if isinstance(roles, str) else _check_roles(spelled_out(roles))


def _check_roles(roles: dict[str, list[str]]) -> dict[str, list[str]]:
    first: dict[tuple[str, ...], str] = {}
    for role, cues in roles.items():
        if not re.fullmatch(ROLE, role):
            field = f"roles.{role[:LONGEST_ROLE]}"
            raise InvalidInput(f"{field}: a role's name is {ROLE}", field=field)
        for at, cue in enumerate(cues):
            field = f"roles.{role}.{at}"
            before = first.setdefault(fold(cue), field)
            if not fold(cue) or before != field:
                why = f"the same cue as {before}" if fold(cue) else "there is no word in it"
                raise InvalidInput(f"{field}: {why}", field=field)
    return roles


def _roles_schema(schema: dict[str, Any]) -> None:
    spelled_out = {
        key: schema.pop(key) for key in ("type", "additionalProperties", "maxProperties")
    }
    spelled_out["propertyNames"] = {"pattern": f"^{ROLE}$"}
    schema["anyOf"] = [{"enum": list(LEXICONS)}, spelled_out]


Roles = Annotated[
    dict[str, Cues],
    Field(max_length=MOST_ROLES, json_schema_extra=_roles_schema),
    WrapValidator(_named_or_spelled_out),
    PlainSerializer(lambda roles: roles),  # pydantic knows nothing of the names
]


class ContextWhole(Body):
    """All that a caller can say of a context."""

    name: Line = Field(examples=["Medicines"])
    terms: Terms = Field(
        default_factory=list,
        description="Each phrase once.",
        json_schema_extra={"uniqueItems": True},
    )
    roles: Roles = Field(
        default_factory=dict,
        description="What the roles of speakers are told by: cues by role, each cue once, or the "
        "name of a lexicon.",
        examples=["consultation", {"agent": ["how may I help"], "caller": ["my order"]}],
    )


class ContextChange(ContextWhole):
    """What is not sent stays as it is; null would be neither."""

    name: Line = Field(default="", examples=["Medicines"])


class ToldTerm(BaseModel):
    """A phrase to expect."""

    phrase: str = Field(examples=["metformin"])
    boost: float = Field(examples=[20.0])


class Context(BaseModel):
    """A context: terms to expect, for engines that can be told."""

    context_id: UUID = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["Medicines"])
    terms: list[ToldTerm]
    roles: dict[str, list[str]] | str = Field(
        description="Cues by role, or the name of a lexicon; empty for no roles."
    )
    created_at: Moment
    updated_at: Moment


class ContextPage(BaseModel):
    """Contexts, newest first."""

    contexts: list[Context]
    next_cursor: NextCursor


_SpeakerName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=LONGEST_SPEAKER),
    AfterValidator(one_line),
    Field(json_schema_extra=line_schema(LONGEST_SPEAKER, may_be_empty=True)),
]


class SpeakerNames(Body):
    """Names of speakers by their numbers, the `speaker_tag` of segments."""

    names: dict[str, _SpeakerName | None] = Field(
        description="Null or an empty name takes a name away; who is not named keeps theirs.",
        examples=[{"0": "Dr. Smith"}],
    )


class ShownSpeakers(BaseModel):
    """What a reader now sees of every speaker."""

    names: dict[str, str] = Field(examples=[{"0": "Dr. Smith", "1": "SPEAKER_01"}])
