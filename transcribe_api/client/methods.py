"""What both clients have in common: where a call gives an answer, `Client` returns it, and
`AsyncClient` has it awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from transcribe_api.client import calls
from transcribe_api.client.calls import Call

if TYPE_CHECKING:
    from transcribe_api.client.asynchronous import AsyncClient
    from transcribe_api.client.synchronous import Client

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")
_Awaited = Coroutine[Any, Any, _Answer]


class Asked(Generic[_Asked, _Answer]):
    """A method of both clients, made from what it asks."""

    def __init__(self, call: Callable[_Asked, Call[_Answer]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, client: None, kind: type) -> Asked[_Asked, _Answer]: ...
    @overload
    def __get__(self, client: Client, kind: type) -> Callable[_Asked, _Answer]: ...
    @overload
    def __get__(self, client: AsyncClient, kind: type) -> Callable[_Asked, _Awaited[_Answer]]: ...

    def __get__(self, client: Any, kind: type) -> Any:
        if client is None:
            return self

        @wraps(self._call)
        def ask(*args: _Asked.args, **named: _Asked.kwargs) -> Any:
            return client.ask(self._call(*args, **named))

        return ask


class Calls:
    """What both clients can be asked. Everything raises `ServiceError` or `Unreachable`."""

    ping = Asked(calls.ping)
    submit = Asked(calls.submit)
    status = Asked(calls.status)
    jobs = Asked(calls.jobs)
    cancel = Asked(calls.cancel)
    retry = Asked(calls.retry)
    delete = Asked(calls.delete)
    result = Asked(calls.result)
    formatted = Asked(calls.formatted)
    document = Asked(calls.document)
    artefacts = Asked(calls.artefacts)
    engines = Asked(calls.engines)
    system_status = Asked(calls.system_status)
    name_speakers = Asked(calls.name_speakers)
    change_segment = Asked(calls.change_segment)
    create_context = Asked(calls.create_context)
    contexts = Asked(calls.contexts)
    delete_context = Asked(calls.delete_context)
    create_session = Asked(calls.create_session)
    sessions = Asked(calls.sessions)
