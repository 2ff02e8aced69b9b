"""What the commands have in common: which service they speak to, and how they end."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from core import data_folder, local_token
from core.errors import TranscribeError
from core.settings import settings
from transcribe_api import embedded, ports
from transcribe_api.client import Client, ServiceError, Unreachable, local
from transcribe_api.embedded import StartError
from transcribe_api.serviceable import Unserved, refuse_unserved

DONE, NOT_DONE, WRONG_USAGE, NO_SERVICE, CANNOT_SERVE, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES = """\b
Exit codes:
  0    everything is done
  1    something could not be done, such as a file that is no recording
  2    wrong usage
  3    no service could be reached or started
  4    the engine or diarizer that was asked for cannot work here
  130  interrupted
"""

#: 0 stands for a free one.
PORT = click.IntRange(0, ports.HIGHEST)

_NO_STACK = "no service runs in {}: start one with `transcribe up`, or name one with --url"

_Command = TypeVar("_Command", bound=Callable[..., Any])

_data_dir = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path),
    help="Where the service keeps everything; the same as TRANSCRIBE_DATA_DIR.",
)  # fmt: skip
_url = click.option("--url", help="Address of a service; the same as TRANSCRIBE_URL.")


def data_dir_option(command: _Command) -> _Command:
    """Let a command be told where the embedded service lies."""
    return _data_dir(command)


def of_a_service(command: _Command) -> _Command:
    """Let a command be told which running service it is about."""
    return _url(_data_dir(command))


def use_data_dir(data_dir: Path | None) -> None:
    """Take settings anew, with this data directory. Before anything else asks for them."""
    if data_dir is not None:
        os.environ["TRANSCRIBE_DATA_DIR"] = str(data_dir)
        settings.cache_clear()


@dataclass(frozen=True, slots=True)
class Service:
    """A service that transcribes files for a command."""

    client: Client
    #: It ends with the command, and so do its jobs.
    is_private: bool


@contextmanager
def service_for_files(
    url: str | None, workers: int, wanted: Mapping[str, Any], *, is_private: bool
) -> Iterator[Service]:
    """The service that is named; else the one that runs here; else one that ends with the block.

    *workers*, *is_private*: one that ends with the block is asked for. *wanted*: the options of the
    jobs. Raises `Unserved` when nobody but this machine works for the service, and it cannot;
    `StartError` for a data directory that is named and cannot be one.
    """
    is_private = is_private or bool(workers)
    url = None if is_private else url or settings().transcribe_url
    here = None if is_private else find_running()
    if url is None and here is None:
        usual = settings()
        if obstacle := _find_obstacle_of_data_dir():
            raise StartError(obstacle)
        refuse_unserved(
            wanted["engine"] or usual.default_transcription_engine,
            wanted["diarizer"] or usual.default_diarizer,
            model=wanted["model"],
        )
        if sys.stderr.isatty():
            tell_operator("starting a service for this command; `transcribe up` has one that stays")
        with (
            embedded.running({}, workers=workers) as started,
            Client(started.url, key=started.token) as client,
        ):
            yield Service(client, is_private=True)
        return
    if here is not None and url in (None, here) and settings().redis_url is None:
        refuse_unserved(wanted["engine"], wanted["diarizer"], model=wanted["model"])
    found = url or here
    assert found is not None
    with Client(found, key=_key(found)) as client:
        client.ping()
        yield Service(client, is_private=False)


@contextmanager
def running(url: str | None, data_dir: Path | None) -> Iterator[Client]:
    """A client of a service that runs: of the one that is named, or of `transcribe up` here."""
    use_data_dir(data_dir)
    named = url or (None if data_dir else settings().transcribe_url)
    found = named or _of_stack()
    key = _key(found) if named else settings().transcribe_api_key or local_token.read()
    with Client(found, key=key) as client:
        yield client


def find_running() -> str | None:
    """The address of the service that runs in the data directory, or None."""
    try:
        url = _of_stack()
        with Client(url, key=_key(url)) as client:
            client.ping()
    except Unreachable:
        return None
    except ServiceError:  # it answers: what it asks for, the caller will be told
        return url
    return url


def _find_obstacle_of_data_dir() -> str | None:
    """Why the named data directory cannot be one; the usual one need not be there for a command."""
    now = settings()
    is_named = "transcribe_data_dir" in now.model_fields_set
    return data_folder.find_obstacle(now.transcribe_data_dir) if is_named else None


def _key(url: str) -> str | None:
    """What opens the service: a key of the caller, or for one of this machine its own token."""
    is_here = local.is_of_this_machine(url)
    return settings().transcribe_api_key or (local_token.read() if is_here else None)


def _of_stack() -> str:
    folder = settings().transcribe_data_dir
    try:
        return str(json.loads((folder / "stack.json").read_text())["url"])
    except (OSError, ValueError, LookupError, TypeError):  # a killed one may have left half of it
        raise Unreachable(data_folder.find_obstacle(folder) or _NO_STACK.format(folder)) from None


@contextmanager
def ended_by_signals(code: int = INTERRUPTED) -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does: with everything cleared away.

    Whatever comes after the first of them is too late to stop the clearing. What is ignored stays
    so: a script that starts a command with ``&`` has it ignore Ctrl-C.
    """
    both = (signal.SIGINT, signal.SIGTERM)
    kinds = [kind for kind in both if signal.getsignal(kind) != signal.SIG_IGN]

    def interrupt(*_: object) -> None:
        for kind in kinds:
            # No SIG_IGN: Python would complain of one that has come already.
            signal.signal(kind, lambda *_: None)
        raise KeyboardInterrupt

    before = [signal.signal(kind, interrupt) for kind in kinds]
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(code)
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


@contextmanager
def clear_errors() -> Iterator[None]:
    """A sentence instead of a traceback, and the exit code that belongs to it."""
    try:
        yield
    except ServiceError as error:
        tell_operator(str(error))
        sys.exit(WRONG_USAGE if error.field else NOT_DONE)
    except Unserved as error:
        tell_operator(str(error))
        sys.exit(CANNOT_SERVE)
    except (TranscribeError, Unreachable, StartError) as error:
        tell_operator(str(error))
        sys.exit(NO_SERVICE)


def tell_operator(sentence: str) -> None:
    """Say something that is no answer: on standard error, which programs do not read."""
    click.echo(f"transcribe: {sentence}", err=True)


def told(what: Any) -> None:
    """Print an object on a line of its own, for programs."""
    click.echo(json.dumps(what))  # in ASCII: a file's name may be no text
