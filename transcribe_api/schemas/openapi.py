"""The API as an OpenAPI 3.1 document, built from the routes and their models."""

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

from transcribe_api.http import route_docs
from transcribe_api.http.route_docs import Answer, Route
from transcribe_api.schemas.common import Paths, Problem

Json: TypeAlias = dict[str, Any]

_PROBLEM = "application/problem+json"
_SCHEMAS = "#/components/schemas/"

_DESCRIPTION = """\
Send a recording to `/api/transcribe/jobs/transcribe`, follow the job in the response, and fetch its
result. Times are seconds from the start of the recording, timestamps are UTC.

Keys are required only if the operator enables them. Every error is `application/problem+json` with
a stable `code`. Responses may get new fields; clients must ignore unknown ones.\
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
#: No key, if none is required; or a key, in either header.
_SECURITY: list[Json] = [{}, {"bearer": []}, {"key": []}]

#: Response headers, by the names in `Answer.headers`.
HEADERS: dict[str, Json] = {
    "Location": {
        "description": "Address of the created resource.",
        "schema": {"type": "string", "format": "uri-reference"},
        "required": True,
    },
    "Idempotency-Replayed": {
        "description": "Present only if this repeats the response to an earlier identical request.",
        "schema": {"const": "true"},
    },
    "Content-Disposition": {
        "description": "Makes browsers save the file instead of displaying it.",
        "schema": {"type": "string"},
        "required": True,
    },
    "Accept-Ranges": {
        "description": "Byte ranges are supported.",
        "schema": {"const": "bytes"},
        "required": True,
    },
    "Content-Range": {
        "description": "The returned byte range, and the size of the file.",
        "schema": {"type": "string"},
        "required": True,
    },
    "ETag": {
        "description": "Changes when the file may have changed.",
        "schema": {"type": "string"},
        "required": True,
    },
    "Retry-After": {
        "description": "Seconds after which to retry.",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "WWW-Authenticate": {
        "description": "Authentication scheme for keys.",
        "schema": {"type": "string"},
        "required": True,
    },
}

_ERROR_DESCRIPTIONS = {
    400: "The request is incomplete, or is not valid HTTP.",
    408: "The body did not arrive in time.",
    421: "The Host header names another service.",
    401: "A valid key is required.",
    403: "The key does not allow this, or the request comes from a page of another site.",
    404: "Nothing has this id or name, or the caller may not see it.",
    409: "The current state does not allow this.",
    412: "The file does not match the condition.",
    413: "The body exceeds the size limit.",
    416: "The file ends before the requested range.",
    422: "A field is invalid, or the recording cannot be processed.",
    429: "Too many requests, or too many streams, with this key.",
    503: "A required part of the service is down; nothing was stored.",
    507: "The disk of the service has no space for a recording, or for any request.",
}
_ERROR_HEADERS = {
    401: "WWW-Authenticate",
    416: "Content-Range",
    429: "Retry-After",
    503: "Retry-After",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a rule, with the documentation of its view."""

    rule: Rule
    method: str
    route: Route
    docstring: str


def build_document(app: Flask) -> Json:
    """Return the document. Takes some milliseconds: cache the result."""
    operations = list(_list_operations(app))
    schemas = _SchemaRegistry(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        methods = paths.setdefault(format_path(operation.rule), {})
        methods[operation.method.lower()] = _describe_operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Chordscribe", "version": _read_version(), "description": _DESCRIPTION},
        "tags": _describe_tags(app, operations),
        "paths": paths,
        "components": {
            "schemas": schemas.shared_schemas(),
            "responses": {
                _response_name(status): _describe_error(status) for status in _ERROR_DESCRIPTIONS
            },
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "security": _SECURITY,
    }


def _list_operations(app: Flask) -> Iterator[Operation]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        route = route_docs.find_route(view)
        if route is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                docstring = cleandoc(view.__doc__ or "").replace("``", "`")
                yield Operation(rule, method, route, docstring)


class _PlainSchemaGenerator(GenerateJsonSchema):
    """Generates schemas without titles that repeat names, and without empty defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def default_schema(self, schema: Any) -> Json:
        if schema.get("default") in (None, ""):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class _SchemaRegistry:
    """The JSON schemas of all models, generated together so that each has one name."""

    def __init__(self, operations: list[Operation]) -> None:
        modes: set[tuple[type[BaseModel], JsonSchemaMode]] = {
            (Problem, "serialization"),
            (Paths, "validation"),
        }
        for operation in operations:
            request_models = (
                operation.route.query,
                operation.route.body,
                operation.route.form,
                operation.route.headers,
            )
            modes |= {(model, "validation") for model in request_models if model}
            modes |= {
                (answer.model, "serialization")
                for answer in operation.route.answers
                if answer.model
            }
            # Only this mode describes the JSON inside the string `data`.
            modes |= {
                (answer.events, "validation") for answer in operation.route.answers if answer.events
            }
        ordered = sorted(modes, key=lambda pair: (pair[0].__name__, pair[1]))
        schemas, definitions = models_json_schema(
            ordered, ref_template=_SCHEMAS + "{model}", schema_generator=_PlainSchemaGenerator
        )
        self._schemas: Mapping[Any, Json] = schemas
        self._definitions: dict[str, Json] = definitions.get("$defs", {})
        self._inlined: set[str] = set()

    def request_schema(self, model: type[BaseModel]) -> Json:
        return self._schemas[(model, "validation")]

    def response_schema(self, model: type[BaseModel]) -> Json:
        return self._schemas[(model, "serialization")]

    def list_parameters(self, model: type[BaseModel], location: str) -> Iterator[Json]:
        """Yield each field of a model as a separate parameter."""
        name = self.request_schema(model)["$ref"].removeprefix(_SCHEMAS)
        self._inlined.add(name)
        definition = self._definitions[name]
        for field, schema in definition["properties"].items():
            yield {
                "name": field,
                "in": location,
                "required": field in definition.get("required", ()),
                **_hoist_description(schema),
            }

    def shared_schemas(self) -> dict[str, Json]:
        """Return the schemas that the document refers to; call it last."""
        return {
            name: schema for name, schema in self._definitions.items() if name not in self._inlined
        }


def _hoist_description(schema: Json) -> Json:
    """Move the description from the schema to the parameter."""
    rest = {key: value for key, value in schema.items() if key != "description"}
    description = {key: value for key, value in schema.items() if key == "description"}
    return {**description, "schema": rest}


def _describe_operation(operation: Operation, schemas: _SchemaRegistry) -> Json:
    summary, _, description = operation.docstring.partition("\n\n")
    blueprint, _, _ = operation.rule.endpoint.partition(".")
    parameters = list(_list_parameters(operation, schemas))
    document: Json = {
        "operationId": operation.rule.endpoint.replace(".", "_"),
        "summary": " ".join(summary.split()),
        "tags": [blueprint],
    }
    if description:
        document["description"] = description
    if parameters:
        document["parameters"] = parameters
    if operation.route.body or operation.route.form:
        document["requestBody"] = {
            "required": True,
            "content": _describe_body(operation.route, schemas),
        }
    document["responses"] = _describe_responses(operation, parameters, schemas)
    if operation.route.public:
        document["security"] = []
    return document


def _list_parameters(operation: Operation, schemas: _SchemaRegistry) -> Iterator[Json]:
    path_parameters = {
        parameter["name"]: parameter for parameter in schemas.list_parameters(Paths, "path")
    }
    yield from (
        path_parameters[name] for name in re.findall(r"{(\w+)}", format_path(operation.rule))
    )
    if operation.route.query:
        yield from schemas.list_parameters(operation.route.query, "query")
    if operation.route.headers:
        yield from schemas.list_parameters(operation.route.headers, "header")


def _describe_body(route: Route, schemas: _SchemaRegistry) -> Json:
    content = {}
    if route.body:
        content["application/json"] = {"schema": schemas.request_schema(route.body)}
    if route.form:
        content["multipart/form-data"] = {"schema": schemas.request_schema(route.form)}
    return content


def _describe_responses(
    operation: Operation, parameters: list[Json], schemas: _SchemaRegistry
) -> Json:
    errors: Json = {
        str(status): {"$ref": f"#/components/responses/{_response_name(status)}"}
        for status in sorted(_list_error_statuses(operation.route, parameters))
    }
    successes = {
        str(answer.status): _describe_answer(answer, schemas) for answer in operation.route.answers
    }
    return dict(sorted({**errors, **successes}.items()))


def _list_error_statuses(route: Route, parameters: list[Json]) -> set[int]:
    """Return the error statuses implied by the route's inputs, and those that it lists."""
    statuses = {421, *route.refusals}
    if not route.public:
        # On a full disk the database may fail on any request, so 507 is not limited to uploads.
        statuses |= {401, 403, 429, 503, 507}
        # All but public routes refuse unknown query fields.
        statuses |= {422}
    if route.body or route.form:
        statuses |= {400, 408, 413, 422}
    if any(parameter["in"] == "path" for parameter in parameters):
        statuses |= {404}
    if any(_may_be_invalid(parameter) for parameter in parameters):
        statuses |= {422}
    return statuses


def _may_be_invalid(parameter: Json) -> bool:
    return parameter["in"] != "path" or bool(parameter["schema"].keys() & {"format", "enum"})


def _describe_answer(answer: Answer, schemas: _SchemaRegistry) -> Json:
    content: dict[str, Json] = {
        media: {"schema": {"type": "string"}} if _is_text(media) else {} for media in answer.media
    }
    if answer.model:
        content["application/json"] = {"schema": schemas.response_schema(answer.model)}
    if answer.events:
        content["text/event-stream"] = {"schema": schemas.request_schema(answer.events)}
    document: Json = {"description": HTTPStatus(answer.status).phrase}
    if answer.headers:
        document["headers"] = {name: HEADERS[name] for name in answer.headers}
    if content:
        document["content"] = content
    return document


def _is_text(media: str) -> bool:
    return media.startswith("text/") or media == "application/x-subrip"


def _describe_error(status: int) -> Json:
    document: Json = {"description": _ERROR_DESCRIPTIONS[status]}
    header = _ERROR_HEADERS.get(status)
    if header:
        document["headers"] = {header: HEADERS[header]}
    return {**document, "content": {_PROBLEM: {"schema": {"$ref": _SCHEMAS + Problem.__name__}}}}


def _response_name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def format_path(rule: Rule) -> str:
    """Return a rule in OpenAPI's notation."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _describe_tags(app: Flask, operations: list[Operation]) -> list[Json]:
    """Return a tag per module of routes with its docstring, in order of registration."""
    used = {operation.rule.endpoint.partition(".")[0] for operation in operations}
    modules = {name: sys.modules[bp.import_name] for name, bp in app.blueprints.items()}
    return [
        {"name": name, "description": " ".join((module.__doc__ or "").split())}
        for name, module in modules.items()
        if name in used
    ]


def _read_version() -> str:
    try:
        return metadata.version("chordscribe")
    except metadata.PackageNotFoundError:  # a plain checkout
        return "0"
