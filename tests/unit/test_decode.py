"""Any file in, PCM out; hostile files do no harm and say why they are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path
from signal import SIGKILL, SIGSEGV, SIGTERM, SIGXCPU, Signals

import av
import numpy as np
import pytest

from chunking.decode import decoder, file_header
from chunking.decode.container import open_container
from chunking.decode.decoder import DecoderKilled, Limits
from chunking.decode.sections import Section
from core.errors import MediaError, Unavailable
from tests.unit.media import (
    babble,
    encode,
    pcm,
    silence,
    tone,
    wav_header,
    write_float_wav,
    write_wav,
)

HAS_PROC = Path("/proc/self/environ").exists()
needs_proc = pytest.mark.skipif(not HAS_PROC, reason="looks at a process through /proc")


def decoded(path: Path, **options) -> tuple[np.ndarray, decoder.DecodeResult]:
    with decoder.stream(path, **options) as stream:
        sound = b"".join(stream)
    return np.frombuffer(sound, "<i2") / 32768, stream.result


def level(sound: np.ndarray) -> float:
    return 10 * np.log10(np.mean(sound**2) + 1e-12)


def refusal(path: Path) -> MediaError:
    """The error that a file meets when it is looked at, and when it is decoded."""
    with pytest.raises(MediaError) as looked:
        decoder.probe(path)
    with pytest.raises(MediaError) as read, decoder.stream(path) as stream:
        list(stream)
    assert looked.value.code == read.value.code
    assert str(path) not in str(looked.value)
    return looked.value


# What can be read


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.flac", "flac", 44_100),
        ("a.mp3", "libmp3lame", 44_100),
        ("a.m4a", "aac", 44_100),
        ("a.aac", "aac", 22_050),
        ("a.opus", "libopus", 48_000),
        ("a.webm", "libopus", 48_000),
        ("a.mka", "flac", 8_000),
        ("a.aiff", "pcm_s16be", 192_000),
        ("a.w64", "pcm_s24le", 16_000),
        ("a.avi", "pcm_s16le", 11_025),
        ("a.ts", "aac", 48_000),
    ],
)
def test_formats(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    path = encode(tmp_path / name, babble(1, rate), codec=codec, rate=rate)
    sound, report = decoded(path)
    about = decoder.probe(path)
    assert report.seconds == pytest.approx(1, abs=0.1)
    assert report.warnings == ()
    assert level(sound) == pytest.approx(-20, abs=1)
    assert (about.sample_rate, about.channels, about.video) == (rate, 1, False)


def test_a_wav_that_needs_no_change_gets_none(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", babble(3))
    with wave.open(str(path)) as file:
        original = file.readframes(file.getnframes())
    with decoder.stream(path) as stream:
        assert b"".join(stream) == original


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", babble(1), codec="libmp3lame")
    other = path.rename(tmp_path / "; rm -rf $(x) ..wav")
    assert decoder.probe(other).container == "mp3"


def test_video_with_its_index_at_the_end(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", babble(2), codec="aac", picture=True)
    assert path.read_bytes().index(b"mdat") < path.read_bytes().index(b"moov")
    assert decoder.probe(path).video
    assert decoded(path)[1].seconds == pytest.approx(2, abs=0.1)


def test_of_two_tracks_the_first_is_taken(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", babble(2), silence(2), codec="aac")
    assert level(decoded(path)[0]) > -25


def test_a_silent_track_is_not_heard_where_another_has_sound(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mka", silence(4), tone(4), codec="flac")
    sound, told = decoded(path)
    assert level(sound) == pytest.approx(-20, abs=0.5)
    assert told.warnings == ()
    assert decoder.probe(path).channels == 1


def test_tracks_that_are_not_heard_are_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", tone(4), tone(4, level=-40), silence(4), codec="aac")
    sound, told = decoded(path)
    assert level(sound[8000:]) == pytest.approx(-20, abs=1)
    [warning] = told.warnings
    assert warning.code == "other_tracks"
    assert "2 audible audio tracks. Track 1 was transcribed, but not track 2." in warning.sentence


def test_looking_tells_what_the_header_says(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(2, 8_000), tone(2, 8_000), rate=8_000)
    assert decoder.probe(path) == decoder.Probe("wav", "pcm_s16le", 8_000, 2, 2.0, False)


# Many channels to one


def test_channels_that_cancel_each_other_do_not_vanish(tmp_path: Path) -> None:
    voice = babble(3)
    sound, _ = decoded(write_wav(tmp_path / "a.wav", voice, -voice))
    assert level(sound) == pytest.approx(-20, abs=0.5)
    assert abs(np.corrcoef(sound, voice)[0, 1]) > 0.99


@pytest.mark.parametrize("speaker", range(8))
def test_one_voice_among_silent_channels_is_not_weakened(tmp_path: Path, speaker: int) -> None:
    channels = [silence(1)] * 8
    channels[speaker] = babble(1)
    sound, _ = decoded(write_wav(tmp_path / "a.wav", *channels))
    assert level(sound) == pytest.approx(-20, abs=0.5)


def test_equal_channels_give_their_mean(tmp_path: Path) -> None:
    voice = babble(2)
    sound, _ = decoded(write_wav(tmp_path / "a.wav", voice, voice))
    assert np.abs(sound - voice).max() < 1e-3


def test_two_speakers_on_two_channels_are_both_heard(tmp_path: Path) -> None:
    left = np.concatenate([babble(3), silence(3)])
    right = np.concatenate([silence(3), babble(3, seed=5)])
    sound, _ = decoded(write_wav(tmp_path / "a.wav", left, right))
    assert level(sound[:48_000]) > -27
    assert level(sound[48_000:]) > -27


def test_one_channel_can_be_taken_alone(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", babble(1), silence(1))
    assert level(decoded(path, channel=0)[0]) == pytest.approx(-20, abs=0.5)
    assert level(decoded(path, channel=1)[0]) < -100
    with pytest.raises(MediaError) as error:
        decoded(path, channel=2)
    assert error.value.code == "no_such_channel"


def test_a_constant_offset_is_taken_out(tmp_path: Path) -> None:
    sound, _ = decoded(write_wav(tmp_path / "a.wav", babble(3, level=-26) + 0.4))
    assert abs(sound.mean()) < 0.01
    assert level(sound) == pytest.approx(-26, abs=0.5)


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    voice = babble(2)
    voice[100], voice[5_000], voice[9_000], voice[9_001] = np.nan, np.inf, 1e30, -np.inf
    sound, _ = decoded(write_float_wav(tmp_path / "a.wav", voice))
    assert np.abs(sound[6_000:8_000] - voice[6_000:8_000]).max() < 1e-3
    assert level(sound) < -15


# What is damaged


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.wav", "pcm_s16le", {}),
        ("a.mp3", "libmp3lame", {}),
        ("a.m4a", "aac", {"movflags": "faststart"}),
        ("a.flac", "flac", {}),
    ],
)
def test_half_a_file_is_decoded_with_a_warning(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / name, babble(12), codec=codec, options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    _, report = decoded(path)
    assert 4 < report.seconds < 8
    assert len(report.warnings) == 1
    assert report.warnings[0].code == "recording_breaks_off"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_size_that_the_writer_did_not_know_is_no_damage(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(size) + pcm(babble(2)))
    assert decoded(path)[1] == decoder.DecodeResult(2.0)


def test_a_header_that_names_too_little_is_not_believed(tmp_path: Path) -> None:
    data = pcm(tone(5))
    (tmp_path / "a.wav").write_bytes(wav_header(1000) + data)
    sound, told = decoded(tmp_path / "a.wav")
    assert (len(sound), told.warnings) == (5 * 16_000, ())


def test_what_stands_behind_the_samples_is_no_sound(tmp_path: Path) -> None:
    data = pcm(tone(1))
    title = b"LIST" + (26).to_bytes(4, "little") + b"INFOISFT" + b"\x0e\0\0\0" + b"Lavf61.7.100\0\0"
    (tmp_path / "a.wav").write_bytes(wav_header(len(data)) + data + title)
    sound, _ = decoded(tmp_path / "a.wav")
    assert len(sound) == 16_000


def test_a_header_that_is_a_little_off_is_no_damage(tmp_path: Path) -> None:
    data = pcm(tone(5))
    (tmp_path / "a.wav").write_bytes(wav_header(len(data) + 1) + data)
    assert decoded(tmp_path / "a.wav")[1].warnings == ()


@pytest.mark.parametrize("name", ["a.wav", "a.m4a", "a.opus", "a.flac", "a.mp3"])
def test_recordings_joined_byte_by_byte_are_all_heard(tmp_path: Path, name: str) -> None:
    codecs = {"wav": "pcm_s16le", "m4a": "aac", "opus": "libopus", "flac": "flac"}
    codec = codecs.get(name[2:], "libmp3lame")
    rates = (48_000, 48_000) if name in ("a.opus", "a.flac", "a.mp3") else (16_000, 44_100)
    parts = [
        encode(tmp_path / f"{at}-{name}", tone(3, rate, level=at), codec=codec, rate=rate)
        for at, rate in zip((-30, -10), rates, strict=True)
    ]
    whole = tmp_path / name
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    sound, told = decoded(whole)
    assert len(sound) / 16_000 == pytest.approx(6, abs=0.15)
    assert level(sound[16_000:32_000]) == pytest.approx(-30, abs=1.5)
    assert level(sound[64_000:80_000]) == pytest.approx(-10, abs=1.5)
    assert told.warnings == ()


def test_an_mp3_that_says_how_many_frames_it_has_is_believed(tmp_path: Path) -> None:
    whole = encode(tmp_path / "a.mp3", tone(20, 44_100), codec="libmp3lame", rate=44_100)
    data = whole.read_bytes()
    whole.write_bytes(data + b"APETAGEX" + bytes(200_000))
    assert decoded(whole)[1].warnings == ()
    whole.write_bytes(data[: len(data) // 2])
    assert [one.code for one in decoded(whole)[1].warnings] == ["recording_breaks_off"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_begins_later_than_the_picture_stays_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for _ in range(40):
            gray = np.full((32, 32, 3), 128, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(gray, "rgb24")))
        container.mux(video.encode(None))
        for at in range(48):
            block = (tone(1)[:1024] * 32767).astype("<i2")
            frame = av.AudioFrame.from_ndarray(block[None], "s16", "mono")
            frame.sample_rate, frame.pts = 16_000, 5 * 16_000 + at * 1024
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    sound, told = decoded(path)
    assert np.flatnonzero(np.abs(sound) > 0.05)[0] / 16_000 == pytest.approx(5, abs=0.07)
    [hole] = told.warnings
    assert (hole.code, hole.start, hole.end) == ("sound_missing", 0.0, pytest.approx(5, abs=0.07))


def test_the_header_is_not_believed(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", babble(2), codec="libmp3lame")
    path.write_bytes(path.read_bytes() * 2)
    assert decoded(path)[1].seconds == pytest.approx(4, abs=0.2)


HTML = b"<!doctype html><html><script>alert(1)</script></html>" * 20
REFUSED = {
    "empty": ("empty_file", b""),
    "text": ("media_unreadable", b"it is a truth universally acknowledged\n" * 100),
    "html": ("media_unreadable", HTML),
    "half a header": ("media_unreadable", wav_header(100)[:30]),
    "header only": ("no_audio_data", wav_header(0)),
    "raw samples": ("media_unreadable", pcm(babble(1))),
    "zip": ("media_unreadable", b"PK\x03\x04" + bytes(2000)),
    "no channels": ("media_unreadable", wav_header(8000, channels=0) + bytes(8000)),
    "too many channels": ("media_unreadable", wav_header(8000, channels=65535) + bytes(8000)),
    "no bits": ("media_unreadable", wav_header(8000, bits=0) + bytes(8000)),
    "no rate": ("media_unreadable", wav_header(8000, rate=0) + bytes(8000)),
    "absurd rate": ("media_unreadable", wav_header(8000, rate=2**32 - 1) + bytes(8000)),
    "one sample a second": ("media_unreadable", wav_header(8000, rate=1) + bytes(8000)),
    "random": ("media_unreadable", np.random.default_rng(3).bytes(50_000)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    code, content = REFUSED[name]
    path = tmp_path / "upload.mp3"
    path.write_bytes(content)
    assert refusal(path).code == code


def test_video_without_sound_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", silence(1), codec="aac", picture=True)
    silent = tmp_path / "b.mp4"
    with av.open(str(path)) as source, av.open(str(silent), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert refusal(silent).code == "no_audio_stream"


def test_a_folder_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path).code == "media_unreadable"
    assert refusal(tmp_path / "pipe").code == "media_unreadable"


def test_a_missing_file_is_the_fault_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decoder.probe(tmp_path / "none.wav")


# What points elsewhere


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9.0,\n{url}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{path}'\n",
    "ffmetadata": ";FFMETADATA1\ntitle=x\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<Period><AdaptationSet><Representation><BaseURL>{url}</BaseURL></Representation>"
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 18998 RTP/AVP 0\n",
}


@pytest.mark.parametrize("name", ["a.mp3", "a.m3u8"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_refused_whatever_their_name(tmp_path: Path, kind: str, name: str) -> None:
    canary = encode(tmp_path / "canary.mp3", babble(2), codec="libmp3lame")
    path = tmp_path / name
    path.write_text(PLAYLISTS[kind].format(url=canary.as_uri(), path=canary.name))
    with pytest.raises(MediaError) as error:
        decoder.probe(path)
    assert error.value.code == "playlist_refused"
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_the_library_refuses_them_as_well(tmp_path: Path, kind: str) -> None:
    canary = encode(tmp_path / "canary.mp3", babble(1), codec="libmp3lame")
    path = tmp_path / "a.mp3"
    path.write_text(PLAYLISTS[kind].format(url=canary.as_uri(), path=canary))
    with path.open("rb", buffering=0) as file, pytest.raises(av.FFmpegError):
        open_container(file, Section(0, path.stat().st_size), "mp3float,aac")


def test_ordinary_files_are_no_playlists(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", babble(0.1))
    with path.open("rb") as file:
        assert not file_header.is_playlist(file)


# The sandbox


def confined(code: str) -> str:
    """Run *code* in a process that has given up what the decoder gives up."""
    script = (
        "import json, os, sys, socket; sys.path.append(sys.argv[1])\n"
        "from chunking.decode import child\n"
        "request = child.DecodeRequest(max_seconds=9, memory_bytes=1 << 30, cpu_seconds=9)\n"
        "out = os.dup(1)\n"
        "child.restrict_process(request.memory_bytes, request.cpu_seconds, out)\n"
        f"try:\n    {code}\n    said = 'worked'\n"
        "except (OSError, MemoryError) as error:\n    said = type(error).__name__\n"
        "os.write(out, said.encode())\n"
    )
    command = [sys.executable, "-I", "-c", script, str(Path(decoder.__file__).parents[2])]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open('/etc/hostname')", "OSError"),
        ("socket.socket()", "OSError"),
        ("os.pipe()", "OSError"),
        ("bytearray(2 << 30)", "MemoryError"),
        ("pass", "worked"),
    ],
)
def test_the_decoder_can_open_nothing(code: str, said: str) -> None:
    assert confined(code) == said


@needs_proc
def test_the_decoder_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIO_SECRET_KEY", "hush")
    path = write_wav(tmp_path / "a.wav", babble(60))
    with decoder.stream(path) as stream:
        next(iter(stream))
        process = Path("/proc") / str(stream._process.pid)
        assert b"hush" not in (process / "environ").read_bytes()
        assert str(path).encode() not in (process / "cmdline").read_bytes()
        assert len(list((process / "fd").iterdir())) == 4


# Limits


def test_a_recording_that_is_too_long_is_refused_in_words(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", silence(130))
    with pytest.raises(MediaError, match=r"longer than the allowed maximum of 2:00\.") as error:
        decoded(path, limits=Limits(max_seconds=120))
    assert error.value.code == "recording_too_long"
    assert decoded(path, limits=Limits(max_seconds=130))[1].seconds == 130


def test_a_decoder_that_says_nothing_is_ended(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", silence(1))
    with pytest.raises(MediaError) as error:
        decoded(path, limits=Limits(stall_seconds=0.001))
    assert error.value.code == "decoder_stalled"


def test_a_decoder_that_takes_too_much_time_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    size = 8 * 2 * 16_000 * 3600
    with path.open("wb") as file:  # an hour of zeros on eight channels, none of them on the disk
        file.write(wav_header(size, channels=8))
        file.truncate(44 + size)
    with pytest.raises(MediaError) as error:
        decoded(path, limits=Limits(cpu_seconds=0, cpu_seconds_per_hour=0))
    assert error.value.code == "decoder_limit"


@pytest.mark.parametrize(
    ("signal", "error"),
    [
        (SIGSEGV, MediaError),
        (SIGXCPU, MediaError),
        # These come from outside, such as from a kernel whose memory runs out.
        (SIGKILL, DecoderKilled),
        (SIGTERM, DecoderKilled),
    ],
)
def test_a_decoder_that_dies_costs_one_recording_or_one_try(
    tmp_path: Path, signal: Signals, error: type[Exception]
) -> None:
    path = write_wav(tmp_path / "a.wav", silence(300))
    with decoder.stream(path) as stream:
        blocks = iter(stream)
        next(blocks)
        os.kill(stream._process.pid, signal)
        with pytest.raises(error):
            list(blocks)


def test_a_decoder_that_cannot_be_started_is_not_the_fault_of_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "_BOOTSTRAP_CODE", "raise SystemExit('no av here')")
    path = write_wav(tmp_path / "a.wav", silence(1))
    with pytest.raises(Unavailable):
        decoder.probe(path)


def test_a_caller_that_stops_early_leaves_no_process(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", silence(300))
    with decoder.stream(path) as stream:
        next(iter(stream))
    assert stream._process.returncode is not None
    with pytest.raises(RuntimeError, match="not read to its end"):
        _ = stream.result


# The project's own collection


def test_hostile_recordings(recordings: Path) -> None:
    """Each is either refused before it is accepted, or decoded to the length that it has."""
    listed = json.loads((recordings / "hostile" / "manifest.json").read_text())["files"]
    for each in listed:
        name, expected = each["file"], each["expect"]
        path = recordings / "hostile" / name
        if path.suffix == ".json" or name.startswith("bomb_"):
            continue
        if expected.startswith("reject") and " or " not in expected:
            with pytest.raises(MediaError):
                decoder.probe(path)
        elif expected.startswith("accept, transcribe"):
            assert 5 < decoded(path)[1].seconds < 12.5, name


def test_ten_hours_of_silence_do_not_fill_memory(recordings: Path) -> None:
    path = recordings / "hostile" / "bomb_10h_silence.flac"
    with decoder.stream(path) as stream:
        start = [len(block) for block, _ in zip(stream, range(1000), strict=False)]
    assert 0 < max(start) <= 1 << 18
