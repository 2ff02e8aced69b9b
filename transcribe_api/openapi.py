"""The interface as an OpenAPI 3.1 document, read off the routes and the models that they name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import metadata
from inspect import cleandoc
from typing import Any, TypeAlias

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from transcribe_api import documented
from transcribe_api.documented import Answer, Route
from transcribe_api.schemas.common import Paths, Problem

Json: TypeAlias = dict[str, Any]

_PROBLEM = "application/problem+json"
_SCHEMAS = "#/components/schemas/"

_ABOUT = """\
Send a recording to `/api/transcribe/jobs/transcribe`, follow the job that the answer names, and
fetch what came out of it. Times are seconds from the start of the recording, timestamps are UTC.

Keys are only asked for where the operator says so. Every error is `application/problem+json` with a
stable `code`. New fields may come to answers; be prepared to meet some that you do not know.\
"""

_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of this service."},
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key, for clients that cannot send the other header.",
    },
}
#: Without a key, where none is asked for; or with one, in either header.
_SECURITY: list[Json] = [{}, {"bearer": []}, {"key": []}]

#: What an answer's headers hold, by the names that `Answer.headers` uses.
HEADERS: dict[str, Json] = {
    "Location": {
        "description": "Where to look at what was made.",
        "schema": {"type": "string", "format": "uri-reference"},
        "required": True,
    },
    "Idempotency-Replayed": {
        "description": "Only there when the same request was answered so before.",
        "schema": {"const": "true"},
    },
    "Content-Disposition": {
        "description": "No browser shows it.",
        "schema": {"type": "string"},
        "required": True,
    },
    "Accept-Ranges": {
        "description": "A part can be asked for.",
        "schema": {"const": "bytes"},
        "required": True,
    },
    "Content-Range": {
        "description": "Which part this is, and of how many bytes.",
        "schema": {"type": "string"},
        "required": True,
    },
    "ETag": {
        "description": "Another one when the file may be another.",
        "schema": {"type": "string"},
        "required": True,
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "WWW-Authenticate": {
        "description": "How a key is sent.",
        "schema": {"type": "string"},
        "required": True,
    },
}

_REFUSALS = {
    400: "The request is cut off, or is no HTTP that can be read.",
    408: "The body did not arrive in time.",
    421: "The Host header names another service.",
    401: "A key is asked for, and none that is valid was sent.",
    403: "The key does not allow this, or a page of another site asks for it.",
    404: "Nothing has this id or name, or the caller may not see it.",
    409: "The present state does not allow this.",
    412: "The file is not the one that the condition names.",
    413: "More bytes than are allowed.",
    416: "The file ends before this part.",
    422: "A field is wrong, or the recording cannot be worked on.",
    429: "Too many requests, or too many streams, with this key.",
    503: "Something that the service needs is down; nothing was recorded.",
    507: "The disk of the service has no room for a recording, or for any answer.",
}
_HEADERS_OF_REFUSALS = {
    401: "WWW-Authenticate",
    416: "Content-Range",
    429: "Retry-After",
    503: "Retry-After",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a rule, with what its view tells of itself."""

    rule: Rule
    method: str
    route: Route
    docstring: str


def describe(app: Flask) -> Json:
    """The document. Takes some milliseconds: ask once."""
    operations = list(_operations(app))
    shapes = _Shapes(operations)
    paths: dict[str, Json] = {}
    for one in operations:
        methods = paths.setdefault(path(one.rule), {})
        methods[one.method.lower()] = _operation(one, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Chordscribe", "version": _version(), "description": _ABOUT},
        "tags": _tags(app, operations),
        "paths": paths,
        "components": {
            "schemas": shapes.shared(),
            "responses": {_named(status): _refusal(status) for status in _REFUSALS},
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "security": _SECURITY,
    }


def _operations(app: Flask) -> Iterator[Operation]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        route = documented.of(view)
        if route is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                said = cleandoc(view.__doc__ or "").replace("``", "`")
                yield Operation(rule, method, route, said)


class _Plain(GenerateJsonSchema):
    """Schemas without the noise: no titles that repeat names, no defaults that say nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def default_schema(self, schema: Any) -> Json:
        if schema.get("default") in (None, ""):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class _Shapes:
    """The JSON schemas of all models, made together so that each has one name."""

    def __init__(self, operations: list[Operation]) -> None:
        modes: set[tuple[type[BaseModel], JsonSchemaMode]] = {
            (Problem, "serialization"),
            (Paths, "validation"),
        }
        for one in operations:
            asked = (one.route.query, one.route.body, one.route.form, one.route.headers)
            modes |= {(model, "validation") for model in asked if model}
            modes |= {(said.model, "serialization") for said in one.route.answers if said.model}
            # Only this mode knows that data is JSON in a string.
            modes |= {(said.events, "validation") for said in one.route.answers if said.events}
        ordered = sorted(modes, key=lambda pair: (pair[0].__name__, pair[1]))
        found, told = models_json_schema(
            ordered, ref_template=_SCHEMAS + "{model}", schema_generator=_Plain
        )
        self._found: Mapping[Any, Json] = found
        self._all: dict[str, Json] = told.get("$defs", {})
        self._taken_apart: set[str] = set()

    def asked(self, model: type[BaseModel]) -> Json:
        return self._found[(model, "validation")]

    def answered(self, model: type[BaseModel]) -> Json:
        return self._found[(model, "serialization")]

    def parameters(self, model: type[BaseModel], place: str) -> Iterator[Json]:
        """Each field of a model as a parameter of its own."""
        name = self.asked(model)["$ref"].removeprefix(_SCHEMAS)
        self._taken_apart.add(name)
        whole = self._all[name]
        for field, schema in whole["properties"].items():
            yield {
                "name": field,
                "in": place,
                "required": field in whole.get("required", ()),
                **_hoisted(schema),
            }

    def shared(self) -> dict[str, Json]:
        """What the document refers to; ask last."""
        return {name: told for name, told in self._all.items() if name not in self._taken_apart}


def _hoisted(schema: Json) -> Json:
    """The description stands at the parameter, the rest in its schema."""
    rest = {key: value for key, value in schema.items() if key != "description"}
    told = {key: value for key, value in schema.items() if key == "description"}
    return {**told, "schema": rest}


def _operation(one: Operation, shapes: _Shapes) -> Json:
    summary, _, more = one.docstring.partition("\n\n")
    blueprint, _, _ = one.rule.endpoint.partition(".")
    parameters = list(_parameters(one, shapes))
    told: Json = {
        "operationId": one.rule.endpoint.replace(".", "_"),
        "summary": " ".join(summary.split()),
        "tags": [blueprint],
    }
    if more:
        told["description"] = more
    if parameters:
        told["parameters"] = parameters
    if one.route.body or one.route.form:
        told["requestBody"] = {"required": True, "content": _sent(one.route, shapes)}
    told["responses"] = _responses(one, parameters, shapes)
    if one.route.public:
        told["security"] = []
    return told


def _parameters(one: Operation, shapes: _Shapes) -> Iterator[Json]:
    in_path = {told["name"]: told for told in shapes.parameters(Paths, "path")}
    yield from (in_path[name] for name in re.findall(r"{(\w+)}", path(one.rule)))
    if one.route.query:
        yield from shapes.parameters(one.route.query, "query")
    if one.route.headers:
        yield from shapes.parameters(one.route.headers, "header")


def _sent(route: Route, shapes: _Shapes) -> Json:
    content = {}
    if route.body:
        content["application/json"] = {"schema": shapes.asked(route.body)}
    if route.form:
        content["multipart/form-data"] = {"schema": shapes.asked(route.form)}
    return content


def _responses(one: Operation, parameters: list[Json], shapes: _Shapes) -> Json:
    told: Json = {
        str(status): {"$ref": f"#/components/responses/{_named(status)}"}
        for status in sorted(_refused(one.route, parameters))
    }
    answered = {str(answer.status): _answer(answer, shapes) for answer in one.route.answers}
    return dict(sorted({**told, **answered}.items()))


def _refused(route: Route, parameters: list[Json]) -> set[int]:
    """The errors that follow from what a route takes, and those that it names itself."""
    found = {421, *route.refusals}
    if not route.public:
        # Without room the database may answer nothing: 507 is no matter of uploads alone.
        found |= {401, 403, 429, 503, 507}
        # Fields of addresses that nobody knows are refused by all but these.
        found |= {422}
    if route.body or route.form:
        found |= {400, 408, 413, 422}
    if any(told["in"] == "path" for told in parameters):
        found |= {404}
    if any(_can_be_wrong(told) for told in parameters):
        found |= {422}
    return found


def _can_be_wrong(parameter: Json) -> bool:
    return parameter["in"] != "path" or bool(parameter["schema"].keys() & {"format", "enum"})


def _answer(answer: Answer, shapes: _Shapes) -> Json:
    content: dict[str, Json] = {
        media: {"schema": {"type": "string"}} if _is_text(media) else {} for media in answer.media
    }
    if answer.model:
        content["application/json"] = {"schema": shapes.answered(answer.model)}
    if answer.events:
        content["text/event-stream"] = {"schema": shapes.asked(answer.events)}
    told: Json = {"description": HTTPStatus(answer.status).phrase}
    if answer.headers:
        told["headers"] = {name: HEADERS[name] for name in answer.headers}
    if content:
        told["content"] = content
    return told


def _is_text(media: str) -> bool:
    return media.startswith("text/") or media == "application/x-subrip"


def _refusal(status: int) -> Json:
    told: Json = {"description": _REFUSALS[status]}
    header = _HEADERS_OF_REFUSALS.get(status)
    if header:
        told["headers"] = {header: HEADERS[header]}
    return {**told, "content": {_PROBLEM: {"schema": {"$ref": _SCHEMAS + Problem.__name__}}}}


def _named(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def path(rule: Rule) -> str:
    """A rule as OpenAPI writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _tags(app: Flask, operations: list[Operation]) -> list[Json]:
    """One for each module of routes, told by its docstring, in the order of their registration."""
    used = {one.rule.endpoint.partition(".")[0] for one in operations}
    modules = {name: sys.modules[bp.import_name] for name, bp in app.blueprints.items()}
    return [
        {"name": name, "description": " ".join((module.__doc__ or "").split())}
        for name, module in modules.items()
        if name in used
    ]


def _version() -> str:
    try:
        return metadata.version("chordscribe")
    except metadata.PackageNotFoundError:  # a plain checkout
        return "0"
