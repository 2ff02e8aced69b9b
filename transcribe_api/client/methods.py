"""Methods common to both clients, which `AsyncClient` provides as coroutines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from transcribe_api.client import calls
from transcribe_api.client.calls import Call

_Params = ParamSpec("_Params")
_Answer = TypeVar("_Answer")
_Awaited = Coroutine[Any, Any, _Answer]


class _Client(Protocol):
    """A client that returns the result of a call."""

    def ask(self, call: Call[_Answer]) -> _Answer: ...


class _AsyncClient(Protocol):
    """A client that returns a coroutine for the result of a call."""

    async def ask(self, call: Call[_Answer]) -> _Answer: ...


class ClientMethod(Generic[_Params, _Answer]):
    """A method of both clients, built from a function that returns a `Call`."""

    def __init__(self, call: Callable[_Params, Call[_Answer]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, client: None, kind: type) -> ClientMethod[_Params, _Answer]: ...
    @overload
    def __get__(self, client: _Client, kind: type) -> Callable[_Params, _Answer]: ...
    @overload
    def __get__(self, client: _AsyncClient, kind: type) -> Callable[_Params, _Awaited[_Answer]]: ...

    def __get__(self, client: Any, kind: type) -> Any:
        if client is None:
            return self

        @wraps(self._call)
        def ask(*args: _Params.args, **named: _Params.kwargs) -> Any:
            return client.ask(self._call(*args, **named))

        return ask


class ClientMethods:
    """Methods of both clients. All raise `ServiceError` or `Unreachable`."""

    ping = ClientMethod(calls.ping)
    submit = ClientMethod(calls.submit)
    status = ClientMethod(calls.status)
    jobs = ClientMethod(calls.jobs)
    cancel = ClientMethod(calls.cancel)
    retry = ClientMethod(calls.retry)
    delete = ClientMethod(calls.delete)
    result = ClientMethod(calls.result)
    formatted = ClientMethod(calls.formatted)
    document = ClientMethod(calls.document)
    artefacts = ClientMethod(calls.artefacts)
    engines = ClientMethod(calls.engines)
    system_status = ClientMethod(calls.system_status)
    name_speakers = ClientMethod(calls.name_speakers)
    change_segment = ClientMethod(calls.change_segment)
    create_context = ClientMethod(calls.create_context)
    contexts = ClientMethod(calls.contexts)
    delete_context = ClientMethod(calls.delete_context)
    create_session = ClientMethod(calls.create_session)
    sessions = ClientMethod(calls.sessions)
