"""Sessions, contexts with expected terms, and speaker names."""

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
from core.json_fields import EXAMPLE_ID, Moment
from transcribe_api.http.requests.json_bodies import Body, Line, build_line_schema, check_one_line
from transcribe_api.schemas.common import NextCursor
from transcripts.speakers.role_lexicons import LEXICONS
from transcripts.speakers.roles import normalize_phrase

#: More terms than this do not help any engine.
MAX_TERMS = 1000
#: Maximum boost of a phrase; negative values make it less likely.
MAX_BOOST = 100
#: More roles, and more cues of one role, than a conversation has.
MAX_ROLES, MAX_CUES = 10, 300
#: Characters of a role's name, which is shown beside the speaker's.
MAX_ROLE_LENGTH = 50
ROLE_PATTERN = rf"[^\W_]([\w -]{{0,{MAX_ROLE_LENGTH - 2}}}[^\W_])?"
#: Characters of a speaker's name.
MAX_SPEAKER_LENGTH = 100


class SessionWhole(Body):
    """All fields of a session that a caller can set."""

    name: Line = Field(examples=["Monday"])


class SessionChange(Body):
    """Changes of a session: missing fields keep their values; null is not allowed."""

    name: Line = Field(default="", examples=["Monday"])


class Session(BaseModel):
    """A session, with which callers group transcripts."""

    session_id: UUID = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["Monday"])
    created_at: Moment
    updated_at: Moment


class SessionPage(BaseModel):
    """Sessions, newest first."""

    sessions: list[Session]
    next_cursor: NextCursor


class Term(Body):
    """An expected phrase."""

    phrase: Line = Field(examples=["metformin"])
    boost: float = Field(
        ge=-MAX_BOOST,
        le=MAX_BOOST,
        description="Makes the phrase more likely; negative values make it less likely.",
        examples=[20.0],
    )


def _refuse_duplicates(terms: list[Term]) -> list[Term]:
    positions: dict[str, int] = {}
    for index, term in enumerate(terms):
        previous = positions.setdefault(term.phrase, index)
        if previous != index:
            # Not a ValueError, which pydantic would report for the whole list.
            field = f"terms.{index}.phrase"
            raise InvalidInput(f"{field}: the same phrase as terms.{previous}.phrase", field=field)
    return terms


Terms = Annotated[list[Term], Field(max_length=MAX_TERMS), AfterValidator(_refuse_duplicates)]


Cues = Annotated[list[Line], Field(min_length=1, max_length=MAX_CUES)]


def _validate_roles(
    roles: object, validate: ValidatorFunctionWrapHandler
) -> dict[str, list[str]] | str:
    if isinstance(roles, str) and roles not in LEXICONS:
        message = "Allowed: roles with their cues, or one of: {names}"
        raise PydanticCustomError("lexicon", message, {"names": ", ".join(LEXICONS)})
    return roles if isinstance(roles, str) else _check_roles(validate(roles))


def _check_roles(roles: dict[str, list[str]]) -> dict[str, list[str]]:
    fields: dict[tuple[str, ...], str] = {}
    for role, cues in roles.items():
        if not re.fullmatch(ROLE_PATTERN, role):
            field = f"roles.{role[:MAX_ROLE_LENGTH]}"
            raise InvalidInput(
                f"{field}: the name of a role must match {ROLE_PATTERN}", field=field
            )
        for index, cue in enumerate(cues):
            field = f"roles.{role}.{index}"
            previous = fields.setdefault(normalize_phrase(cue), field)
            if not normalize_phrase(cue) or previous != field:
                reason = (
                    f"the same cue as {previous}"
                    if normalize_phrase(cue)
                    else "it contains no word"
                )
                raise InvalidInput(f"{field}: {reason}", field=field)
    return roles


def _build_roles_schema(schema: dict[str, Any]) -> None:
    explicit = {key: schema.pop(key) for key in ("type", "additionalProperties", "maxProperties")}
    explicit["propertyNames"] = {"pattern": f"^{ROLE_PATTERN}$"}
    schema["anyOf"] = [{"enum": list(LEXICONS)}, explicit]


Roles = Annotated[
    dict[str, Cues],
    Field(max_length=MAX_ROLES, json_schema_extra=_build_roles_schema),
    WrapValidator(_validate_roles),
    PlainSerializer(lambda roles: roles),  # pydantic does not know the lexicon names
]


class ContextWhole(Body):
    """All fields of a context that a caller can set."""

    name: Line = Field(examples=["Medicines"])
    terms: Terms = Field(
        default_factory=list,
        description="Each phrase once.",
        json_schema_extra={"uniqueItems": True},
    )
    roles: Roles = Field(
        default_factory=dict,
        description="Detects the roles of speakers: cues by role, each cue once, or the name of a "
        "lexicon.",
        examples=["consultation", {"agent": ["how may I help"], "caller": ["my order"]}],
    )


class ContextChange(ContextWhole):
    """Changes of a context: missing fields keep their values; null is not allowed."""

    name: Line = Field(default="", examples=["Medicines"])


class ContextTerm(BaseModel):
    """An expected phrase."""

    phrase: str = Field(examples=["metformin"])
    boost: float = Field(examples=[20.0])


class Context(BaseModel):
    """A context: expected terms, for engines that support them."""

    context_id: UUID = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["Medicines"])
    terms: list[ContextTerm]
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
    StringConstraints(strip_whitespace=True, max_length=MAX_SPEAKER_LENGTH),
    AfterValidator(check_one_line),
    Field(json_schema_extra=build_line_schema(MAX_SPEAKER_LENGTH, may_be_empty=True)),
]


class SpeakerNames(Body):
    """Speaker names by number, the `speaker_tag` of segments."""

    names: dict[str, _SpeakerName | None] = Field(
        description="Null or an empty string removes a name; "
        "speakers that are not listed keep theirs.",
        examples=[{"0": "Dr. Smith"}],
    )


class SpeakerLabels(BaseModel):
    """Displayed names of all speakers."""

    names: dict[str, str] = Field(examples=[{"0": "Dr. Smith", "1": "SPEAKER_01"}])
