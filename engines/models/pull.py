"""Put a model into ``MODEL_DIR``, from the first source with the right bytes."""

from __future__ import annotations

from pathlib import Path

from core.errors import EngineError, InvalidInput
from core.settings import settings
from engines.models import model_download, pinned_models, pinned_pull
from engines.models.download_progress import DownloadMeter
from engines.models.pull_options import PullOptions, PullResult
from engines.models.staging import move_into_place, open_staging_folder


def pull(name: str, options: PullOptions, meter: DownloadMeter | None = None) -> PullResult:
    """Put a model into its folder, by its short name or by its repository on the hub.

    Raises `EngineError` and `InvalidInput`, whose messages state a remedy, and `Unavailable` if no
    source can be reached.
    """
    meter = meter or DownloadMeter()
    target = settings().model_dir / (options.folder_name or name)
    model = pinned_models.MODELS.get(name) if options.revision is None else None
    if model:
        return pinned_pull.pull(name, model, target, options, meter)
    if options.offline or options.folder:
        raise InvalidInput(
            "only models with pinned hashes can be pulled from a folder: "
            f"{', '.join(pinned_models.MODELS)}. Copy the files of {name} to {target}"
        )
    return _pull_repository(name, target, options, meter)


def _pull_repository(
    name: str, target: Path, options: PullOptions, meter: DownloadMeter
) -> PullResult:
    repository = _resolve_repository(name)
    if target.exists() and not options.again:
        raise EngineError(f"{target} exists; --again downloads it again")
    with open_staging_folder(target) as staging:
        folder = model_download.fetch_repository(
            repository,
            options.revision or "main",
            staging,
            meter,
            is_aligner=target.name.startswith("align-"),
        )
        move_into_place(folder, target, staging)
    return PullResult(target, ("the hub",))


def _resolve_repository(name: str) -> str:
    if name in model_download.REPOSITORIES:
        return model_download.REPOSITORIES[name]
    parts = name.split("/")
    if len(parts) == 2 and all(part and not part.startswith(".") for part in parts):
        return name
    allowed = ", ".join(dict.fromkeys([*model_download.REPOSITORIES, *pinned_models.MODELS]))
    raise InvalidInput(
        f"there is no model {name!r}; allowed: {allowed}, or a repository of the hub such as "
        f"{settings().pyannote_model}"
    )
