"""Each channel of a recording can be a speaker of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chunking import tracks
from chunking.cut import AudioChunker, ChunkingConfig
from chunking.decode import decoder, selection
from chunking.tracks import ONE_CHANNEL
from core.errors import InvalidInput, MediaError
from core.jobs.spec import JobSpec
from core.states import Channels
from tests.unit.media import babble, silence, write_wav
from transcribe_api.http.requests import parsing
from transcripts.speakers.channels import build_turns, merge_channels
from transcripts.stitch import TranscribedChunk
from transcripts.types import ChannelInterval, Interval, Turn, Word


def heard(start: float, end: float, *words: tuple[str, float]) -> TranscribedChunk:
    return TranscribedChunk(
        Interval(start, end), tuple(Word(text, at, at + 0.3, 0.9) for text, at in words)
    )


def test_every_channel_is_a_speaker_and_segments_come_by_time():
    segments = merge_channels(
        {
            0: [heard(0, 10, ("where", 1.0), ("is", 1.4), ("it", 5.0))],
            1: [heard(0, 10, ("yes", 1.5), ("there", 7.0))],
        }
    )
    assert [(one.speaker, one.text) for one in segments] == [
        (0, "where is"),
        (1, "yes"),
        (0, "it"),
        (1, "there"),
    ]
    assert build_turns(segments)[1] == Turn(1.5, 1.8, 1)


def test_no_word_of_either_is_lost_where_both_speak():
    words = [(f"w{n}", n * 0.4) for n in range(20)]
    segments = merge_channels({0: [heard(0, 9, *words)], 1: [heard(0, 9, *words)]})
    told = [(word.speaker, word.text) for one in segments for word in one.words]
    assert sorted(told) == sorted((channel, text) for channel in (0, 1) for text, _ in words)


def test_channels_are_cut_each_for_itself(tmp_path: Path):
    left = np.concatenate([babble(6), silence(6)])
    right = np.concatenate([silence(7), babble(5)])
    path = write_wav(tmp_path / "call.wav", left, right)
    chunker = AudioChunker(ChunkingConfig(chunk_duration=5.0, overlap_duration=1.0))
    pieces = tracks.cut_channels(chunker, path, tmp_path)
    assert pieces.duration == pytest.approx(12.0, abs=0.01)
    assert pieces.shards == ()
    assert {piece.channel for piece in pieces.chunks} == {0, 1}
    starts = [piece.window.start for piece in pieces.chunks]
    assert starts == sorted(starts)
    for piece in pieces.chunks:
        assert piece.interval == ChannelInterval(
            piece.window.start, piece.window.end, piece.channel
        )
        assert piece.window.start < 6 if piece.channel == 0 else piece.window.end > 7
    told = pieces.metadata("call.wav")["chunks"]
    assert [one["channel"] for one in told] == [piece.channel for piece in pieces.chunks]


def test_one_channel_is_one_speaker_and_is_said_so(tmp_path: Path):
    path = write_wav(tmp_path / "mono.wav", babble(3))
    pieces = tracks.cut_channels(AudioChunker(), path, tmp_path)
    assert {piece.channel for piece in pieces.chunks} == {0}
    assert pieces.warnings == (ONE_CHANNEL,)


def test_too_many_channels_are_refused_with_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(selection, "MAX_CHANNELS", 1)
    path = write_wav(tmp_path / "call.wav", babble(1), babble(1))
    with pytest.raises(MediaError, match=r"at most 1 .*has 2") as caught:
        tracks.cut_channels(AudioChunker(), path, tmp_path)
    assert caught.value.code == "too_many_channels"


@pytest.mark.parametrize("count", [17, 64])
def test_many_channels_are_mixed(tmp_path: Path, count: int):
    """FFmpeg itself mixes no more than 16."""
    path = write_wav(tmp_path / "hall.wav", *[silence(2)] * (count - 1), babble(2))
    with decoder.stream(path) as stream:
        samples = np.frombuffer(b"".join(stream), "<i2") / 32768
    assert 20 * np.log10(np.sqrt(np.mean(samples**2))) == pytest.approx(-20, abs=1)


def test_more_channels_than_can_be_read_are_refused_with_the_limit(tmp_path: Path):
    path = write_wav(tmp_path / "hall.wav", *[babble(0.1)] * 65)
    with pytest.raises(MediaError, match="more than 64 channels") as caught:
        decoder.probe(path)
    assert caught.value.code == "too_many_channels"


def test_a_job_remembers_that_its_channels_are_speakers():
    spec = parsing.parse_job({"channels": "separate"})
    assert spec.channels is Channels.SEPARATE
    assert spec.diarizer is None
    assert JobSpec.from_dict(spec.as_dict()) == spec
    assert JobSpec.from_dict({"engine": "sphinx", "diarizer": None}).channels is Channels.MIX


@pytest.mark.parametrize("field", ["diarizer", "enable_diarization", "min_speakers"])
def test_fields_for_a_diarizer_make_no_sense_beside_it(field: str):
    with pytest.raises(InvalidInput, match="channels=separate") as caught:
        parsing.parse_job({"channels": "separate", field: "1"})
    assert caught.value.field == field


def test_an_unknown_way_with_channels_is_refused():
    with pytest.raises(InvalidInput, match="mix, separate"):
        parsing.parse_job({"channels": "both"})


def test_one_pass_over_all_channels_gives_what_a_pass_for_each_does(tmp_path: Path):
    left, right = babble(9) * 0.5 + 0.1, -babble(9, level=-30)
    path = write_wav(tmp_path / "call.wav", left, right, silence(9))
    with decoder.stream(path, split=3) as together:
        samples = np.frombuffer(b"".join(together), "<i2").reshape(-1, 3)
    assert together.result.seconds == pytest.approx(9, abs=0.01)
    for channel in range(3):
        with decoder.stream(path, channel=channel) as alone:
            assert np.array_equal(np.frombuffer(b"".join(alone), "<i2"), samples[:, channel])


def test_a_channel_that_a_later_recording_lacks_is_silent_there(tmp_path: Path):
    stereo = write_wav(tmp_path / "stereo.wav", babble(3), babble(3))
    mono = write_wav(tmp_path / "mono.wav", babble(2))
    path = tmp_path / "both.wav"
    path.write_bytes(stereo.read_bytes() + mono.read_bytes())
    with decoder.stream(path, split=2) as stream:
        samples = np.frombuffer(b"".join(stream), "<i2").reshape(-1, 2)
    assert len(samples) == 5 * decoder.SAMPLE_RATE
    later = samples[3 * decoder.SAMPLE_RATE + 100 :]
    assert later[:, 0].any()
    assert not later[:, 1].any()
