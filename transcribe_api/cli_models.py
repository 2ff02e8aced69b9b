"""``transcribe doctor`` and ``transcribe models …``: what works here, and what models there are."""

from __future__ import annotations

import sys

import click

from core.errors import TranscribeError
from engines import hub, manifest, shelf
from engines.manifest import Manifest
from engines.shelf import OnShelf
from transcribe_api.doctor import State, examine

_MARKS = {
    State.OK: "ok     ",
    State.ABSENT: "absent ",
    State.BROKEN: "BROKEN ",
    State.WARNING: "WARNING",
}


@click.command(short_help="Look what works here, and say what repairs the rest.")
def doctor() -> None:
    """Look what works on this machine, and say what repairs the rest.

    Exit code 1 when something is broken; what is only absent is no fault.
    """
    try:
        findings = list(examine())
    except TranscribeError as error:
        click.echo(f"transcribe: {error}", err=True)
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
@click.option("--revision", default="main", show_default=True, help="A branch, a tag or a commit.")
@click.option("--as", "place", help="The folder's name, such as align-pt; one model only.")
@click.option("--again", is_flag=True, help="Also what is there already.")
def pull(names: tuple[str, ...], revision: str, place: str | None, again: bool) -> None:
    """Fetch models into WHISPERX_MODEL_DIR: by size, or by repository on Hugging Face's hub.

    What arrives is checked, and written down with its commit and its hashes for `verify`.
    """
    if place and len(names) > 1:
        raise click.UsageError("--as is for one model")
    try:
        for name in names:
            folder = hub.pull(name, revision=revision, place=place, again=again)
            click.echo(f"{name}: {_origin(manifest.read(folder))} in {folder}")
    except TranscribeError as error:
        click.echo(f"transcribe: {error}", err=True)
        sys.exit(1)


@models.command("list", short_help="The models that a job may ask for.")
def list_models() -> None:
    """Show the models that a job may ask for, where they lie and where they are from."""
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
    return [*shelf.whisper(), shelf.pipeline(), *shelf.others()]


def _place(model: OnShelf) -> str:
    if model.folder is None:
        return "not here"
    if model.lacks:
        return f"{model.folder} lacks {', '.join(model.lacks)}"
    return f"{model.size_mb:.0f} MB in {model.folder}"


def _from(model: OnShelf) -> str:
    return f", {_origin(model.manifest)}" if model.manifest else ""


def _origin(pulled: Manifest | None) -> str:
    return f"{pulled.repository} at {pulled.commit[:12]}" if pulled else ""
