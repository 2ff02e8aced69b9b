"""What a route tells of itself: a decorator notes it on the view, `openapi` reads it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

View = TypeVar("View", bound=Callable[..., Any])

_ROUTE_ATTRIBUTE = "documented"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered when all is well."""

    status: int
    #: Shape of the JSON; None: the answer has no JSON form.
    model: type[BaseModel] | None = None
    #: Media types of what is no JSON, such as files.
    media: tuple[str, ...] = ()
    #: Shape of each event, where the answer is a stream of them.
    events: type[BaseModel] | None = None
    #: Names from `openapi.HEADERS`.
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """All that cannot be seen from the rule, the methods and the docstring of a view."""

    answers: tuple[Answer, ...]
    query: type[BaseModel] | None
    #: JSON that must be sent.
    body: type[BaseModel] | None
    #: Fields of a form that must be sent, a file among them.
    form: type[BaseModel] | None
    #: Request headers, other than those that carry keys.
    headers: type[BaseModel] | None
    #: Statuses of errors that do not follow from the rest.
    refusals: tuple[int, ...]
    #: Answered without a key, whatever the settings say.
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
    """Put the view below into /openapi.json; its docstring gives the summary."""
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
    """What was noted on a view, also on one that was wrapped since."""
    route: Route | None = getattr(view, _ROUTE_ATTRIBUTE, None)
    return route
