"""Read the tensors of a PyTorch checkpoint without executing any of its content.

A checkpoint is a zip archive with a pickle, which names classes, and a file for each tensor. This
reader never imports a class of the pickle: it builds tensors itself, and replaces everything else
by an empty placeholder.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from core.errors import EngineError

Tensors = Mapping[str, NDArray[Any]]

_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a state dictionary by name; it is the file's content or ``state_dict``.

    Raises `EngineError` if the file is no such checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = _Reader(archive).load()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, IndexError,
            zipfile.BadZipFile, pickle.UnpicklingError) as error:  # fmt: skip
        raise EngineError(f"{path} is not a PyTorch checkpoint: {error}") from error
    state_dict = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {name: value for name, value in state_dict.items() if isinstance(value, np.ndarray)}
    if not tensors:
        raise EngineError(f"{path} contains no tensors")
    return tensors


class _Placeholder:
    """Placeholder for any object that is no tensor."""

    def __new__(cls, *_: Any, **__: Any) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Converts the pickle of a checkpoint to dictionaries of arrays."""

    _ALLOWED_CLASSES: ClassVar[Mapping[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        **{("torch", name): dtype for name, dtype in _DTYPES.items()},
    }

    def __init__(self, archive: zipfile.ZipFile) -> None:
        [index] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        super().__init__(archive.open(index))
        self._archive = archive
        self._root = index.removesuffix("data.pkl")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _build_array
        return self._ALLOWED_CLASSES.get((module, name), _Placeholder)

    def persistent_load(self, reference: Any) -> NDArray[Any]:
        """Return the numbers of a tensor, which are a file of the archive."""
        _, dtype, key, _, count = reference
        if not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"unknown number type {dtype}")
        member = self._archive.getinfo(f"{self._root}data/{key}")
        if member.file_size != count * dtype.itemsize:
            raise pickle.UnpicklingError(f"{key} has {member.file_size} bytes")
        return np.frombuffer(self._archive.read(member), dtype)


def _build_array(
    numbers: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    """Return a tensor as a view of its numbers; NumPy rejects a shape that exceeds them."""
    size = numbers.dtype.itemsize
    steps = tuple(stride * size for stride in strides)
    return np.ndarray(shape, numbers.dtype, numbers.tobytes(), offset * size, steps)
