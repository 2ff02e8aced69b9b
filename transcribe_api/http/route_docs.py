"""Route documentation: a decorator stores it on the view, `openapi` reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

View = TypeVar("View", bound=Callable[..., Any])

_ROUTE_ATTRIBUTE = "documented"


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response."""

    status: int
    #: Schema of the JSON; None if the response is not JSON.
    model: type[BaseModel] | None = None
    #: Media types of other responses, such as files.
    media: tuple[str, ...] = ()
    #: Schema of each event, if the response is an event stream.
    events: type[BaseModel] | None = None
    #: Names from `openapi.HEADERS`.
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What the rule, the methods and the docstring of a view do not contain."""

    answers: tuple[Answer, ...]
    query: type[BaseModel] | None
    #: Required JSON body.
    body: type[BaseModel] | None
    #: Form fields, including a file.
    form: type[BaseModel] | None
    #: Request headers, except those for keys.
    headers: type[BaseModel] | None
    #: Error statuses that do not follow from the other fields.
    refusals: tuple[int, ...]
    #: Needs no key, whatever the settings.
    public: bool


def document_route(
    *answers: Answer,
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    form: type[BaseModel] | None = None,
    headers: type[BaseModel] | None = None,
    refusals: tuple[int, ...] = (),
    public: bool = False,
) -> Callable[[View], View]:
    """Document the decorated view in /openapi.json; its docstring is the summary."""
    route = Route(
        answers=answers,
        query=query,
        body=body,
        form=form,
        headers=headers,
        refusals=refusals,
        public=public,
    )

    def attach_route(view: View) -> View:
        vars(view)[_ROUTE_ATTRIBUTE] = route
        return view

    return attach_route


def find_route(view: Callable[..., Any]) -> Route | None:
    """Return the documentation of a view, even if the view was wrapped later."""
    route: Route | None = getattr(view, _ROUTE_ATTRIBUTE, None)
    return route
