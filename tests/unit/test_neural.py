"""The parts of the diarizer `neural` that need no weights: made-up windows, pieces and vectors."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import EngineError
from engines.neural import clustering, speaker_tracks, speech_pieces
from engines.neural.checkpoint import read_tensors
from engines.neural.segmentation import HOP_FRAMES, Windows
from engines.neural.speaker_tracks import SpeakerTrack
from engines.neural.speech_pieces import SpeechPiece
from engines.neural.turns import FRAME_SECONDS, find_turns

FRAMES = 589


# Checkpoints


class Storage:
    """What a pickle calls the numbers of a tensor."""

    def __init__(self, key: str, count: int) -> None:
        self.reference = ("storage", "FloatStorage", key, "cpu", count)


class Pickler(pickle.Pickler):
    """Writes tensors as PyTorch does."""

    def persistent_id(self, value: object) -> object:
        return value.reference if isinstance(value, Storage) else None


def write_checkpoint(path: Path, content: object, numbers: dict[str, bytes]) -> Path:
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(content)
    # The kind of the numbers is a class of PyTorch's, which is not installed here.
    data = buffer.getvalue().replace(b"X\x0c\x00\x00\x00FloatStorage", b"ctorch\nFloatStorage\n")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for key, raw in numbers.items():
            archive.writestr(f"archive/data/{key}", raw)
    return path


class Tensor:
    """Is built by PyTorch's own function when it is read."""

    def __init__(self, storage: Storage, offset: int, shape: tuple, strides: tuple) -> None:
        self._built = (storage, offset, shape, strides, False, None)

    def __reduce__(self) -> tuple:
        return _rebuild_tensor_v2, self._built


def _rebuild_tensor_v2(*_: object) -> None:
    raise AssertionError("never called")


_rebuild_tensor_v2.__module__ = "torch._utils"


@pytest.fixture
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a pickle name PyTorch's function, which is not installed."""
    import sys
    import types

    module = types.ModuleType("torch._utils")
    module._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "torch._utils", module)


def tensor(offset: int = 0, shape: tuple = (2, 3), strides: tuple = (3, 1), count: int = 6):
    return Tensor(Storage("0", count), offset, shape, strides)


NUMBERS = np.arange(6, dtype="<f4").tobytes()


@pytest.mark.usefixtures("_torch")
def test_tensors_are_read_by_name(tmp_path: Path):
    path = write_checkpoint(tmp_path / "a.pt", {"w": tensor(), "epoch": 3}, {"0": NUMBERS})
    assert read_tensors(path)["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    turned = {"state_dict": {"w": tensor(shape=(3, 2), strides=(1, 3))}}
    path = write_checkpoint(tmp_path / "b.pt", turned, {"0": NUMBERS})
    assert read_tensors(path)["w"].tolist() == [[0, 3], [1, 4], [2, 5]]


class Harm:
    """Would run a command when it is read as a pickle usually is."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple:
        return os.system, (self._command,)


@pytest.mark.usefixtures("_torch")
def test_nothing_of_a_checkpoint_is_executed(tmp_path: Path):
    harm = Harm(f"touch {tmp_path / 'done'}")
    path = write_checkpoint(tmp_path / "a.pt", {"w": tensor(), "x": harm}, {"0": NUMBERS})
    assert list(read_tensors(path)) == ["w"]
    assert not (tmp_path / "done").exists()


@pytest.mark.usefixtures("_torch")
@pytest.mark.parametrize(
    "beyond",
    [tensor(offset=1), tensor(shape=(3, 3)), tensor(strides=(4, 1)), tensor(count=7),
     tensor(offset=-1)],
)  # fmt: skip
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(tmp_path: Path, beyond: Tensor):
    path = write_checkpoint(tmp_path / "a.pt", {"w": beyond}, {"0": NUMBERS})
    with pytest.raises(EngineError, match="not a PyTorch checkpoint"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a checkpoint at all"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="not a PyTorch checkpoint"):
        read_tensors(path)
    with pytest.raises(EngineError, match="not a PyTorch checkpoint"):
        read_tensors(tmp_path / "absent.pt")


# Tracks


def windows(*speakers: list[tuple[int, int]], count: int, order: int = 0) -> Windows:
    """Windows of a recording in which these speak from one frame to another.

    *order*: of the speakers, by which the numbers in a window differ from one to the next.
    """
    total = (count - 1) * HOP_FRAMES + FRAMES
    truth = np.zeros((total, 3), np.float32)
    for speaker, stretches in enumerate(speakers):
        for start, end in stretches:
            truth[start:end, speaker] = 1
    rolled = [
        np.roll(truth[at * HOP_FRAMES : at * HOP_FRAMES + FRAMES], order * at, axis=1)
        for at in range(count)
    ]
    return Windows(np.stack(rolled))


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_speaker_is_followed_whatever_number_a_window_gives(order: int):
    first, second = [(0, 500)], [(600, 1000)]
    found = speaker_tracks.build_tracks(windows(first, second, count=5, order=order))
    spoken = [track.start + np.flatnonzero(track.likelihood > 0.5) for track in found]
    assert [(run[0], run[-1] + 1) for run in spoken] == [(0, 500), (600, 1000)]


def test_who_is_silent_for_longer_than_a_window_is_another_track():
    found = speaker_tracks.build_tracks(windows([(0, 300), (1500, 1800)], count=11))
    assert len(found) == 2


def test_nobody_speaks_in_silence():
    assert speaker_tracks.build_tracks(windows(count=3)) == []


# Pieces


def test_pieces_are_of_clean_speech_in_order():
    alone = SpeakerTrack(0, np.ones(600, np.float32))
    over = SpeakerTrack(300, np.ones(100, np.float32))
    found = speech_pieces.cut_pieces([alone, over])
    mine = np.concatenate([piece.frames for piece in found if piece.track == 0])
    assert set(mine.tolist()) == set(range(300)) | set(range(400, 600))
    assert all((np.diff(piece.frames) > 0).all() for piece in found)
    [with_other] = [piece for piece in found if piece.track == 1]
    assert len(with_other.frames) == 100, "it is never alone"


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 400)), min_size=1, max_size=12))
def test_every_frame_of_a_lonely_track_is_in_one_piece(stretches: list[tuple[int, int]]):
    likelihood = np.concatenate(
        [np.repeat(np.array([0, 1], np.float32), stretch) for stretch in stretches]
    )
    found = speech_pieces.cut_pieces([SpeakerTrack(0, likelihood)])
    frames = np.concatenate([piece.frames for piece in found])
    assert frames.tolist() == np.flatnonzero(likelihood).tolist()


# Clustering


def voices(counts: list[int], noise: float = 0.3, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of voices that have nothing in common, and whose they are."""
    random = np.random.default_rng(seed)
    means = np.linalg.qr(random.standard_normal((192, len(counts))))[0].T
    whose = np.repeat(np.arange(len(counts)), counts)
    vectors = means[whose] + noise / np.sqrt(192) * random.standard_normal((len(whose), 192))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), whose


def cluster(vectors: np.ndarray, frames: int = 178, **limits: int) -> np.ndarray:
    count = len(vectors)
    return clustering.cluster(vectors, np.arange(count), np.full(count, frames), **limits)


@pytest.mark.parametrize("counts", [[1], [5], [4, 6], [3, 3, 3, 9], [2] * 8])
def test_voices_are_counted(counts: list[int]):
    vectors, whose = voices(counts)
    assert cluster(vectors).tolist() == whose.tolist()


def test_voices_are_numbered_as_they_first_speak():
    vectors, _ = voices([3, 3])
    order = [3, 0, 4, 1, 5, 2]
    assert cluster(vectors[order]).tolist() == [0, 1, 0, 1, 0, 1]


def test_a_cough_is_no_voice():
    vectors, _ = voices([10, 1])
    frames = np.array([178] * 10 + [30])
    labels = clustering.cluster(vectors, np.arange(11), frames)
    assert set(labels.tolist()) == {0}


def test_as_many_voices_are_found_as_there_are_known_to_be():
    vectors, _ = voices([4, 4, 4])
    assert cluster(vectors, maximum=2).max() == 1
    assert cluster(vectors, minimum=5).max() == 4


def test_more_pieces_than_are_compared_have_voices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clustering, "MAX_PIECES", 20)
    vectors, whose = voices([60, 60])
    assert cluster(vectors).tolist() == whose.tolist()


# Turns


def test_turns_overlap_where_two_speak_at_once():
    found = [SpeakerTrack(0, np.ones(300, np.float32)), SpeakerTrack(200, np.ones(300, np.float32))]
    parts = [SpeechPiece(0, np.arange(200)), SpeechPiece(1, np.arange(300, 500))]
    turns, numbers = find_turns(found, parts, np.array([7, 3]), 60.0)
    assert numbers == {7: 0, 3: 1}
    assert [turn.speaker for turn in turns] == [0, 1]
    assert turns[0].end - turns[1].start == pytest.approx(100 * FRAME_SECONDS)


def test_a_short_pause_is_part_of_a_turn_and_a_long_one_is_not():
    likelihood = np.ones(400, np.float32)
    likelihood[100:110] = likelihood[200:300] = 0
    found = [SpeakerTrack(0, likelihood)]
    turns, _ = find_turns(found, speech_pieces.cut_pieces(found), np.zeros(2, np.intp), 60.0)
    assert len(turns) == 2
    assert all(0 <= turn.start < turn.end <= 60 for turn in turns)
