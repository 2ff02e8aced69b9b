"""Parse JSON bodies, or raise an error that names the field and the allowed values."""

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

#: Enough for the largest context with every character escaped.
MAX_BODY_BYTES = 4 * 1024 * 1024

#: With more errors than this in one body only their number is reported: each takes a kilobyte.
MAX_ERRORS = 10_000

# Control characters, surrogates and line separators. Format characters are allowed: names in
# Persian and Hindi need them.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}


def check_one_line(text: str) -> str:
    """Return the text if it can be shown on one line; a validator for pydantic."""
    if any(unicodedata.category(char) in _FORBIDDEN_CATEGORIES for char in text):
        raise PydanticCustomError("one_line", "Control characters are not allowed")
    return text


# The same check for JSON Schema. White space around a line is removed before it is checked.
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
#: Text on one line, with anything at its ends.
PRINTABLE_LINE = f"^{_PRINTABLE}*$"
_EDGE = r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


def build_line_schema(
    max_length: int, *, may_be_empty: bool = False
) -> Callable[[dict[str, Any]], None]:
    """Return a `json_schema_extra` for a line before its white space is removed."""

    def add_pattern(schema: dict[str, Any]) -> None:
        for bound in ("minLength", "maxLength"):  # they count the stripped text
            schema.pop(bound, None)
        line = f"({_EDGE}({_PRINTABLE}{{0,{max_length - 2}}}{_EDGE})?){'?' if may_be_empty else ''}"
        schema["pattern"] = f"^[{_SPACE}]*{line}[{_SPACE}]*$"
        schema.setdefault("description", f"One line of at most {max_length} characters.")

    return add_pattern


#: Maximum characters of a name or a phrase.
MAX_LINE_LENGTH = 200
#: A name or a phrase.
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LINE_LENGTH),
    AfterValidator(check_one_line),
    Field(json_schema_extra=build_line_schema(MAX_LINE_LENGTH)),
]


class Body(BaseModel):
    """Base of all bodies: no type conversion, and no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


BodyType = TypeVar("BodyType", bound=Body)


def parse_body(kind: type[BodyType]) -> BodyType:
    """Parse the body of the current request. Raises `InvalidInput`."""
    try:
        return kind.model_validate_json(_read_bytes())
    except ValidationError as error:
        raise explain_validation_error(error) from None


def explain_validation_error(error: ValidationError) -> InvalidInput:
    """Convert pydantic's error to an `InvalidInput` that names the first wrong field."""
    if error.error_count() > MAX_ERRORS:
        return InvalidInput(f"the body has {error.error_count()} errors")
    first_error = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if not first_error["loc"]:
        return InvalidInput(f"send a JSON object as the body: {first_error['msg']}")
    field = ".".join(str(key) for key in first_error["loc"])
    return InvalidInput(f"{field}: {first_error['msg']}", field=field)


def _read_bytes() -> bytes:
    # Without a preflight, a page of another site can send any type but this one.
    if not request.is_json:
        raise InvalidInput("send a JSON object with the header Content-Type: application/json")
    request.max_content_length = MAX_BODY_BYTES
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLarge(
            f"the body is larger than the allowed {MAX_BODY_BYTES} bytes",
            code="body_too_large",
        ) from None
