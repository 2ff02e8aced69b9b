"""A piece that storage has lost or spoiled is cut again, with the same samples."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from chunking.cut import AudioChunker
from chunking.decode.selection import Selection
from chunking.pcm import write_wav
from chunking.plan.planner import Window
from core.errors import NotFound
from core.storage import layout, storage
from tasks.steps.part_audio import open_audio
from tests.factories.jobs import accept_job
from transcripts.types import ChannelInterval

pytestmark = pytest.mark.usefixtures("database")

RATE = 44_100
PLACES = [ChannelInterval(0.0, 2.0), ChannelInterval(1.7, 4.1), ChannelInterval(4.1, 6.0, 1)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of two channels that have nothing in common, at another rate than ours."""
    path = tmp_path_factory.mktemp("recording") / "source.wav"
    noise = np.random.default_rng(5).integers(-9000, 9000, (6 * RATE, 2), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(noise.tobytes())
    return path


def cut(recording: Path, place: ChannelInterval, folder: Path) -> bytes:
    """The piece as it is cut when the recording is taken apart."""
    cutting = AudioChunker().take_apart(
        recording, folder, selection=Selection(channel=place.channel)
    )
    write_wav(cutting.pcm, Window(place.start, place.end), folder / "piece.wav")
    return (folder / "piece.wav").read_bytes()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("harm", ["lost", "empty", "cut off", "no sound", "another length"])
def test_a_piece_is_what_it_was(recording: Path, tmp_path: Path, place: ChannelInterval, harm: str):
    job_id, right = accept_job(), cut(recording, place, tmp_path)
    key = layout.chunk_audio(job_id, 0)
    storage().put_file(layout.source(job_id), recording)
    spoiled = {
        "empty": b"",
        "cut off": right[:-1000],
        "no sound": b"<html>" * 1000,
        "another length": cut(recording, ChannelInterval(0.0, 1.0), tmp_path),
    }
    if harm != "lost":
        storage().put_bytes(key, spoiled[harm])
    with open_audio(job_id, key, place) as path:
        assert path.read_bytes() == right
    assert storage().get_bytes(key) == right, "for whoever tries again"


def test_a_whole_piece_is_taken_as_it_is(recording: Path, tmp_path: Path):
    """The recording is not needed, and may be gone."""
    job_id, right = accept_job(), cut(recording, PLACES[0], tmp_path)
    key = layout.chunk_audio(job_id, 0)
    storage().put_bytes(key, right)
    with open_audio(job_id, key, PLACES[0]) as path:
        assert path.read_bytes() == right


def test_without_the_recording_a_lost_piece_is_lost():
    job_id = accept_job()
    with (
        pytest.raises(NotFound),
        open_audio(job_id, layout.chunk_audio(job_id, 0), PLACES[0]),
    ):
        pass
