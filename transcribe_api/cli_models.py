"""``transcribe doctor`` and ``transcribe models …``: what works here, and what models there are."""

from __future__ import annotations

import sys

import click

from core.errors import TranscribeError
from engines import shelf
from engines.shelf import OnShelf
from transcribe_api.doctor import State, examine

_MARKS = {State.OK: "ok     ", State.ABSENT: "absent ", State.BROKEN: "BROKEN "}


@click.command()
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


@models.command("list")
def list_models() -> None:
    """Show the models that a job may ask for, and where they lie."""
    for model in _all():
        click.echo(f"{model.engine:<9} {model.name:<42} {_place(model)}")


@models.command()
def verify() -> None:
    """Look whether every model that is here is whole. Exit code 1 if not."""
    broken = [model for model in _all() if model.lacks]
    for model in broken:
        click.echo(f"{model.name}: {_place(model)}", err=True)
    here = sum(model.is_whole for model in _all())
    click.echo(f"{here} whole, {len(broken)} broken")
    sys.exit(bool(broken))


def _all() -> list[OnShelf]:
    return [*shelf.whisper(), shelf.pipeline()]


def _place(model: OnShelf) -> str:
    if model.folder is None:
        return "not here"
    if model.lacks:
        return f"{model.folder} lacks {', '.join(model.lacks)}"
    return f"{model.size_mb:.0f} MB in {model.folder}"
