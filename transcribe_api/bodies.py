"""From a JSON body to a valid value, or to an error that names the field and what is allowed."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from werkzeug.exceptions import RequestEntityTooLarge

from core.errors import InvalidInput, TooLarge

#: Room for the largest context with every character escaped.
MOST_BYTES = 4 * 1024 * 1024

#: More errors than this in one body are counted and not told: each takes a kilobyte.
MOST_ERRORS = 10_000

# Control characters, halves of characters, and ends of lines. Format characters may stay: names in
# Persian and Hindi need them.
_NOT_IN_A_LINE = {"Cc", "Cs", "Zl", "Zp"}


def one_line(text: str) -> str:
    """For pydantic: the same text, if all of it can be shown on one line."""
    if any(unicodedata.category(char) in _NOT_IN_A_LINE for char in text):
        raise PydanticCustomError("one_line", "Control characters are not allowed")
    return text


# The same in the words of JSON Schema. White space around a line is dropped before it is looked at.
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SHOWN = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
#: A text on one line, whatever stands at its ends.
SHOWN = f"^{_SHOWN}*$"
_EDGE = r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


def line_schema(longest: int, *, may_be_empty: bool = False) -> Callable[[dict[str, Any]], None]:
    """For `json_schema_extra`: what is allowed, before white space is dropped."""

    def tell(schema: dict[str, Any]) -> None:
        for bound in ("minLength", "maxLength"):  # they count what is left
            schema.pop(bound, None)
        line = f"({_EDGE}({_SHOWN}{{0,{longest - 2}}}{_EDGE})?){'?' if may_be_empty else ''}"
        schema["pattern"] = f"^[{_SPACE}]*{line}[{_SPACE}]*$"
        schema.setdefault("description", f"One line of at most {longest} characters.")

    return tell


#: Characters of a name or a phrase.
LONGEST_LINE = 200
#: A name or a phrase.
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_LINE),
    AfterValidator(one_line),
    Field(json_schema_extra=line_schema(LONGEST_LINE)),
]


class Body(BaseModel):
    """What every body has in common: nothing is converted, and no unknown field is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


Given = TypeVar("Given", bound=Body)


def read(kind: type[Given]) -> Given:
    """The body of the present request. Raises `InvalidInput`."""
    try:
        return kind.model_validate_json(_received())
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> InvalidInput:
    """What pydantic found, as an error of ours that names the first wrong field."""
    if error.error_count() > MOST_ERRORS:
        return InvalidInput(f"the body is wrong in {error.error_count()} places")
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if not first["loc"]:
        return InvalidInput(f"send a JSON object as the body: {first['msg']}")
    field = ".".join(str(step) for step in first["loc"])
    return InvalidInput(f"{field}: {first['msg']}", field=field)


def _received() -> bytes:
    # A page of another site can have a browser send anything but this type without asking us first.
    if not request.is_json:
        raise InvalidInput("send a JSON object with the header Content-Type: application/json")
    request.max_content_length = MOST_BYTES
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLarge(
            f"the body is larger than the {MOST_BYTES} bytes that are allowed",
            code="body_too_large",
        ) from None
