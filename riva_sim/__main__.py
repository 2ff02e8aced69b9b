"""``python -m riva_sim``: run the stand-in until it is stopped."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import click

from riva_sim.script import Script
from riva_sim.server import ServerLimits, Tls, serve

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("riva-sim")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=50051, show_default=True, help="Port; 0: a free one.")
@click.option("--mode", type=click.Choice(["all", "offline", "streaming"]), default="all",
              show_default=True, help="Kinds of models to serve.")  # fmt: skip
@click.option("--tls", nargs=2, type=_FILE, metavar="KEY CERT", help="Use TLS; PEM files.")
@click.option(
    "--client-ca", type=_FILE, help="With --tls: require a client certificate signed by this CA."
)
@click.option("--key", help="Require 'authorization: Bearer KEY'.")
@click.option("--function-id", help="Require this function-id.")
@click.option("--max-message", default=64 << 20, help="Maximum size of a message in bytes.")
@click.option(
    "--at-once", type=int, help="Maximum concurrent calls; further calls get RESOURCE_EXHAUSTED."
)
@click.option("--next", "first", multiple=True, metavar="EVENT",
              help="Add EVENT as if it were typed; can be repeated.")  # fmt: skip
def main(
    host: str,
    port: int,
    mode: str,
    tls: tuple[Path, Path] | None,
    client_ca: Path | None,
    key: str | None,
    function_id: str | None,
    max_message: int,
    at_once: int | None,
    first: tuple[str, ...],
) -> None:
    """Serve the protocol of NVIDIA Riva's speech recognition, without a GPU.

    English only, with PocketSphinx. Prints every call on standard output, as a line of JSON. Reads
    events for the next recognitions from standard input, one per line:

    \b
    UNAVAILABLE:some text   the call ends with this status (or another gRPC status)
    slow:2.5                the call takes this many seconds longer
    large:70                the response has this many MiB
    die                     the process ends during the call
    ok                      no effect
    """
    script = Script()
    for line in first:
        _add_event(script, line)
    secure = None
    if tls:
        ca = client_ca.read_bytes() if client_ca else None
        secure = Tls(tls[0].read_bytes(), tls[1].read_bytes(), ca)
    limits = ServerLimits(max_message, at_once, mode, key, function_id)
    server, bound_port = serve(f"{host}:{port}", script, limits, secure)
    click.echo(f"listening on {host}:{bound_port}")
    threading.Thread(target=_read_events, args=(script,), daemon=True).start()
    server.wait_for_termination()


def _read_events(script: Script) -> None:
    for line in sys.stdin:
        _add_event(script, line)


def _add_event(script: Script, line: str) -> None:
    try:
        script.add(line)
    except ValueError as error:
        click.echo(str(error), err=True)
        return
    click.echo(f"next: {line.strip()}")


if __name__ == "__main__":
    main(prog_name="riva-sim")
