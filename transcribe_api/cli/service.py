"""Common parts of the commands: choice of the service, errors and exit codes."""

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

from core.access import local_token
from core.errors import TranscribeError
from core.filesystem import data_directory
from core.settings import settings
from transcribe_api.client import Client, ServiceError, Unreachable, local
from transcribe_api.python import embedded
from transcribe_api.python.embedded import StartError
from transcribe_api.serviceable import EngineUnavailable, refuse_unserved
from transcribe_api.stack import ports

DONE, NOT_DONE, WRONG_USAGE, NO_SERVICE, CANNOT_SERVE, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES = """\b
Exit codes:
  0    everything is done
  1    something failed, such as a file that is not a recording
  2    incorrect usage
  3    no service could be reached or started
  4    the requested engine or diarizer cannot work on this machine
  130  interrupted
"""

#: 0: any free port.
PORT = click.IntRange(0, ports.MAX_PORT)

_NO_SERVICE_MESSAGE = (
    "no service is running in {}: start one with `transcribe up`, or select one with --url"
)

_Command = TypeVar("_Command", bound=Callable[..., Any])

_data_dir_decorator = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path),
    help="Data directory of the service; overrides TRANSCRIBE_DATA_DIR.",
)  # fmt: skip
_url_decorator = click.option("--url", help="Address of a service; overrides TRANSCRIBE_URL.")


def data_dir_option(command: _Command) -> _Command:
    """Add the option for the data directory of the embedded stack."""
    return _data_dir_decorator(command)


def service_options(command: _Command) -> _Command:
    """Add the options that select a running service."""
    return _url_decorator(_data_dir_decorator(command))


def use_data_dir(data_dir: Path | None) -> None:
    """Reload the settings with this data directory. Call it before anything reads the settings."""
    if data_dir is not None:
        os.environ["TRANSCRIBE_DATA_DIR"] = str(data_dir)
        settings.cache_clear()


@dataclass(frozen=True, slots=True)
class Service:
    """A service that transcribes files for a command."""

    client: Client
    #: The service and its jobs end with the command.
    is_private: bool


@contextmanager
def open_service(
    url: str | None, workers: int, options: Mapping[str, Any], *, is_private: bool
) -> Iterator[Service]:
    """Yield the named service, else the one running here, else a private one for the block.

    *workers*, *is_private*: request a private service. *options*: options of the jobs. Raises
    `EngineUnavailable` if only this machine works for the service and cannot run the engine;
    `StartError` if a configured data directory is unusable.
    """
    is_private = is_private or bool(workers)
    url = None if is_private else url or settings().transcribe_url
    local_url = None if is_private else find_running_url()
    if url is None and local_url is None:
        defaults = settings()
        if obstacle := _find_data_dir_obstacle():
            raise StartError(obstacle)
        refuse_unserved(
            options["engine"] or defaults.default_transcription_engine,
            options["diarizer"] or defaults.default_diarizer,
            model=options["model"],
        )
        if sys.stderr.isatty():
            tell_operator(
                "starting a private service for this command; `transcribe up` starts one that stays"
            )
        with (
            embedded.run_service({}, workers=workers) as service,
            Client(service.url, key=service.token) as client,
        ):
            yield Service(client, is_private=True)
        return
    if local_url is not None and url in (None, local_url) and settings().redis_url is None:
        refuse_unserved(options["engine"], options["diarizer"], model=options["model"])
    service_url = url or local_url
    assert service_url is not None
    with Client(service_url, key=_find_key(service_url)) as client:
        client.ping()
        yield Service(client, is_private=False)


@contextmanager
def open_client(url: str | None, data_dir: Path | None) -> Iterator[Client]:
    """Yield a client of a running service: the named one, or `transcribe up` on this machine."""
    use_data_dir(data_dir)
    named_url = url or (None if data_dir else settings().transcribe_url)
    service_url = named_url or _read_stack_url()
    key = (
        _find_key(service_url)
        if named_url
        else settings().transcribe_api_key or local_token.read_token()
    )
    with Client(service_url, key=key) as client:
        yield client


def find_running_url() -> str | None:
    """Return the address of the service that runs in the data directory, or None."""
    try:
        url = _read_stack_url()
        with Client(url, key=_find_key(url)) as client:
            client.ping()
    except Unreachable:
        return None
    except ServiceError:  # it answers; the caller reports the error
        return url
    return url


def _find_data_dir_obstacle() -> str | None:
    """Return why a configured data directory is unusable; the default one need not exist."""
    config = settings()
    is_named = "transcribe_data_dir" in config.model_fields_set
    return data_directory.find_obstacle(config.transcribe_data_dir) if is_named else None


def _find_key(url: str) -> str | None:
    """Return the caller's key, or for a service on this machine its local token."""
    is_local = local.is_local_url(url)
    return settings().transcribe_api_key or (local_token.read_token() if is_local else None)


def _read_stack_url() -> str:
    folder = settings().transcribe_data_dir
    try:
        return str(json.loads((folder / "stack.json").read_text())["url"])
    except (OSError, ValueError, LookupError, TypeError):  # a kill may leave half a file
        raise Unreachable(
            data_directory.find_obstacle(folder) or _NO_SERVICE_MESSAGE.format(folder)
        ) from None


@contextmanager
def exit_on_signals(code: int = INTERRUPTED) -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C: clean up, then exit.

    Further signals do not interrupt the cleanup. Ignored signals stay ignored: a shell script that
    starts a command with ``&`` makes it ignore Ctrl-C.
    """
    signals = (signal.SIGINT, signal.SIGTERM)
    signal_numbers = [
        signal_number
        for signal_number in signals
        if signal.getsignal(signal_number) != signal.SIG_IGN
    ]

    def interrupt(*_: object) -> None:
        for signal_number in signal_numbers:
            # Not SIG_IGN: Python reports an error if a signal is already pending.
            signal.signal(signal_number, lambda *_: None)
        raise KeyboardInterrupt

    previous = [signal.signal(signal_number, interrupt) for signal_number in signal_numbers]
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(code)
    finally:
        for signal_number, handler in zip(signal_numbers, previous, strict=True):
            signal.signal(signal_number, handler)


@contextmanager
def exit_on_errors() -> Iterator[None]:
    """Print errors as one sentence instead of a traceback, with the matching exit code."""
    try:
        yield
    except ServiceError as error:
        tell_operator(str(error))
        sys.exit(WRONG_USAGE if error.field else NOT_DONE)
    except EngineUnavailable as error:
        tell_operator(str(error))
        sys.exit(CANNOT_SERVE)
    except (TranscribeError, Unreachable, StartError) as error:
        tell_operator(str(error))
        sys.exit(NO_SERVICE)


def tell_operator(sentence: str) -> None:
    """Print a message on standard error, which programs do not parse."""
    click.echo(f"transcribe: {sentence}", err=True)


def print_json(value: Any) -> None:
    """Print an object on one line, for programs."""
    click.echo(json.dumps(value))  # in ASCII: a file name may be invalid Unicode
