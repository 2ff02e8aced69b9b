"""Types of fields that several JSON documents share, with what `/openapi.json` says of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

EXAMPLE_ID = "4f6c1f0e-7d0b-4f4e-9d0a-2a4c8c6f3b11"

#: Beside another type: a field that may be absent, and is never null.
Absent = SkipJsonSchema[None]

#: A moment in UTC.
Moment = Annotated[datetime, Field(examples=["2026-01-02T03:04:05.678900Z"])]

Seconds = Annotated[float, Field(ge=0, examples=[3.5])]

Confidence = Annotated[float, Field(ge=0, le=1, examples=[0.95])]
