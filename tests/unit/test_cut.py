"""Recordings are taken apart, and the pieces put together are the recording."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from chunking import cut
from chunking.audio_parts import AudioPart, AudioParts
from chunking.cut import AudioChunker, ChunkingConfig, Cutting
from chunking.decode.decoder import Limits
from chunking.decode.selection import Selection
from chunking.plan.planner import PlanSettings, Window
from chunking.vad.speech import VadSettings
from core.errors import MediaError
from tests.unit.media import babble, encode, noise, pcm, silence, write_wav
from transcripts.types import Interval


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def conversation(phrases: int, pause: float = 0.6) -> np.ndarray:
    parts = [babble(3, seed=7), silence(pause)]
    return np.concatenate(parts * phrases)


def frames(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return file.readframes(file.getnframes())


def test_a_long_recording(tmp_path: Path, workdir: Path) -> None:
    sound = conversation(30)
    cutting = AudioChunker().take_apart(write_wav(tmp_path / "a.wav", sound), workdir)
    assert cutting.duration == pytest.approx(108)
    assert len(cutting.speech) == 30
    assert [round(window.duration) for window in cutting.windows] == [29, 29, 29, 21] or (
        3 <= len(cutting.windows) <= 4
    )
    assert cutting.shards == (Window(0.0, cutting.duration),)
    assert cutting.warnings == ()


def test_a_piece_is_what_lies_at_its_place(tmp_path: Path, workdir: Path) -> None:
    sound = conversation(20)
    cutting = AudioChunker().take_apart(write_wav(tmp_path / "a.wav", sound), workdir)
    for window in cutting.windows:
        cutting.write_wav(window, workdir / "piece.wav")
        start, end = round(window.start * 16_000), round(window.end * 16_000)
        assert frames(workdir / "piece.wav") == pcm(sound[start:end])


def test_a_window_up_to_the_end_is_complete(tmp_path: Path, workdir: Path) -> None:
    path = write_wav(tmp_path / "a.wav", babble(2)[:31_999])
    cutting = AudioChunker().take_apart(path, workdir)
    cutting.write_wav(cutting.windows[0], workdir / "piece.wav")
    assert len(frames(workdir / "piece.wav")) == 2 * 31_999


def test_speech_without_a_pause_is_cut_with_overlap(tmp_path: Path, workdir: Path) -> None:
    config = ChunkingConfig(chunk_duration=10, overlap_duration=2)
    path = write_wav(tmp_path / "a.wav", babble(35) + noise(35, level=-24))
    windows = AudioChunker(config).take_apart(path, workdir).windows
    assert all(window.overlap == pytest.approx(2) for window in windows[:-1])
    assert all(window.duration <= 12.001 for window in windows)


@pytest.mark.parametrize("sound", [silence(40), noise(40), np.array([0.5])])
def test_without_speech_there_is_nothing_to_do(
    tmp_path: Path, workdir: Path, sound: np.ndarray
) -> None:
    cutting = AudioChunker().take_apart(write_wav(tmp_path / "a.wav", sound), workdir)
    assert (cutting.speech, cutting.windows, cutting.shards) == ((), (), ())
    assert cutting.duration == pytest.approx(len(sound) / 16_000)


def test_a_very_quiet_recording_is_heard(tmp_path: Path, workdir: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.concatenate([babble(3, level=-60), silence(1)]))
    cutting = AudioChunker().take_apart(path, workdir)
    assert cutting.windows == (Window(0.0, 4.0),)


def test_warnings_come_through(tmp_path: Path, workdir: Path) -> None:
    path = encode(tmp_path / "a.mp3", conversation(4), codec="libmp3lame")
    path.write_bytes(path.read_bytes()[:30_000])
    (warning,) = AudioChunker().take_apart(path, workdir).warnings
    assert warning.code == "recording_breaks_off"


def test_what_cannot_be_read_is_refused(tmp_path: Path, workdir: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_text("no sound here " * 100)
    with pytest.raises(MediaError):
        AudioChunker().take_apart(path, workdir)


def test_limits_hold(tmp_path: Path, workdir: Path) -> None:
    path = write_wav(tmp_path / "a.wav", silence(20))
    with pytest.raises(MediaError) as error:
        AudioChunker(limits=Limits(max_seconds=10)).take_apart(path, workdir)
    assert error.value.code == "recording_too_long"


def test_the_first_windows_are_told_while_a_recording_is_decoded(
    tmp_path: Path, workdir: Path
) -> None:
    path = write_wav(tmp_path / "a.wav", conversation(110))
    config, limits = ChunkingConfig(chunk_duration=10), Limits(max_seconds=1000)
    told: list[Window] = []
    heard: list[bytes] = []

    def take(sound: Path, windows: Sequence[Window]) -> None:
        told.extend(windows)
        for window in windows:
            cut.write_wav(sound, window, workdir / "early.wav")
            heard.append(frames(workdir / "early.wav"))

    cutting = AudioChunker(config, limits).take_apart(path, workdir, on_windows=take)
    assert 10 < len(told) < len(cutting.windows)
    assert tuple(told) == cutting.windows[: len(told)]
    for window, sound in zip(told, heard, strict=True):
        cutting.write_wav(window, workdir / "piece.wav")
        assert frames(workdir / "piece.wav") == sound


def test_what_is_done_with_them_may_end_the_work(tmp_path: Path, workdir: Path) -> None:
    path = write_wav(tmp_path / "a.wav", conversation(60))

    def cancelled(*_: object) -> None:
        raise InterruptedError

    chunker = AudioChunker(ChunkingConfig(chunk_duration=10), Limits(max_seconds=1000))
    with pytest.raises(InterruptedError):
        chunker.take_apart(path, workdir, on_windows=cancelled)


@pytest.mark.parametrize(
    ("level", "most"),
    [(-62, 400.0), (-20, 24 * 3600.0)],
    ids=["it may be heard again with gain", "it may turn out to be quiet for the most part"],
)
def test_none_is_told_too_early(tmp_path: Path, workdir: Path, level: float, most: float) -> None:
    sound = np.concatenate([babble(3, level=level), silence(0.6)] * 60)
    told: list[object] = []
    chunker = AudioChunker(ChunkingConfig(chunk_duration=10), Limits(max_seconds=most))
    path = write_wav(tmp_path / "a.wav", sound)
    windows = chunker.take_apart(path, workdir, on_windows=lambda *_: told.append(_)).windows
    assert len(windows) > 10
    assert not told


def test_one_channel_of_a_call(tmp_path: Path, workdir: Path) -> None:
    path = write_wav(tmp_path / "a.wav", babble(3), silence(3))
    assert AudioChunker().take_apart(path, workdir, selection=Selection(channel=0)).windows
    assert not AudioChunker().take_apart(path, workdir, selection=Selection(channel=1)).windows


def test_metadata_is_what_document_b_stores(tmp_path: Path) -> None:
    windows = (Window(0.0, 30.12345, 5.0), Window(25.12345, 50.0))
    speech = (Interval(0.5, 12.0), Interval(20.0, 28.0), Interval(40.0, 49.50049))
    pcm = tmp_path / "x.pcm"
    cutting = Cutting(pcm, 50.0, speech, windows, (), (), np.zeros(0, np.uint8))
    chunks = [AudioPart(pcm, window, speech=tuple(cutting.speech_in(window))) for window in windows]
    pieces = AudioParts(50.0, tuple(chunks), (), (), {})
    metadata = json.loads(json.dumps(pieces.metadata("talk.mp4")))
    assert metadata == {
        "file_path": "talk.mp4",
        "total_duration": 50.0,
        "sample_rate": 16_000,
        "chunks": [
            {
                "index": 0,
                "file": "chunk_0000.wav",
                "start_time": 0.0,
                "end_time": 30.123,
                "duration": 30.123,
                "overlap": 5.0,
                "speech": [[0.5, 12.0], [20.0, 28.0]],
            },
            {
                "index": 1,
                "file": "chunk_0001.wav",
                "start_time": 25.123,
                "end_time": 50.0,
                "duration": 24.877,
                "overlap": 0.0,
                "speech": [[25.123, 28.0], [40.0, 49.5]],
            },
        ],
    }


def test_one_config_makes_the_settings_of_the_parts() -> None:
    config = ChunkingConfig(
        chunk_duration=20,
        overlap_duration=4,
        min_silence_duration=0.7,
        silence_threshold=-35,
        vad_aggressiveness=3,
    )
    assert config.vad == VadSettings(aggressiveness=3, silence_threshold=-35)
    assert config.plan == PlanSettings(chunk_duration=20, chunk_overlap=4, min_silence_duration=0.7)


def test_a_call_of_the_collection(recordings: Path, workdir: Path) -> None:
    config = ChunkingConfig(chunk_duration=15)
    path = recordings / "dev" / "call_2ch_8k_mulaw.wav"
    cutting = AudioChunker(config).take_apart(path, workdir)
    assert len(cutting.windows) >= 3
    assert all(window.overlap == 0 for window in cutting.windows)
