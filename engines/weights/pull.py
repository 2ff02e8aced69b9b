"""Puts a model into ``MODEL_DIR``, from the first source that has the right bytes."""

from __future__ import annotations

from pathlib import Path

from core.errors import EngineError, InvalidInput
from core.settings import settings
from engines.weights import hub, pinned, pinned_pull
from engines.weights.meter import Meter
from engines.weights.wish import Pulled, Wish
from engines.weights.workshop import move, open_workshop


def pull(name: str, wish: Wish, meter: Meter | None = None) -> Pulled:
    """Put a model into its folder, by its short name or by its repository on the hub.

    Raises `EngineError` and `InvalidInput`, which say what helps, and `Unavailable` when no source
    is reached.
    """
    meter = meter or Meter()
    target = settings().model_dir / (wish.place or name)
    model = pinned.MODELS.get(name) if wish.revision is None else None
    if model:
        return pinned_pull.pull(name, model, target, wish, meter)
    if wish.offline or wish.folder:
        raise InvalidInput(
            f"only models whose hashes are pinned come from a folder: {', '.join(pinned.MODELS)}. "
            f"Copy the files of {name} to {target}"
        )
    return _pull_repository(name, target, wish, meter)


def _pull_repository(name: str, target: Path, wish: Wish, meter: Meter) -> Pulled:
    repository = _repository(name)
    if target.exists() and not wish.again:
        raise EngineError(f"{target} is there already; --again fetches it anew")
    with open_workshop(target) as workshop:
        folder = hub.fetch_repository(
            repository,
            wish.revision or "main",
            workshop,
            meter,
            is_aligner=target.name.startswith("align-"),
        )
        move(folder, target, workshop)
    return Pulled(target, ("the hub",))


def _repository(name: str) -> str:
    if name in hub.REPOSITORIES:
        return hub.REPOSITORIES[name]
    parts = name.split("/")
    if len(parts) == 2 and all(part and not part.startswith(".") for part in parts):
        return name
    allowed = ", ".join(dict.fromkeys([*hub.REPOSITORIES, *pinned.MODELS]))
    raise InvalidInput(
        f"there is no model {name!r}; allowed: {allowed}, or a repository of the hub such as "
        f"{settings().pyannote_model}"
    )
