"""Small recordings made when a test needs them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


def babble(seconds: float, rate: int = 16_000, *, level: float = -20.0, seed: int = 1) -> Samples:
    """Something that voice detectors take for speech: a buzz that is shaped like syllables.

    A pulse train of a changing pitch through three formants, four syllables a second. *level* is
    its RMS in dBFS.
    """
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    sound = sum(
        weight * np.cos(number * phase)
        for number in range(1, min(25, rate // 300))
        for weight in [_formants(number * 120.0)]
    )
    syllables = 0.05 + np.clip(np.sin(2 * np.pi * 4 * time + random.uniform(0, 6)), 0, 1)
    return _at_level(sound * syllables, level)


def noise(seconds: float, rate: int = 16_000, *, level: float = -30.0, seed: int = 2) -> Samples:
    """White noise."""
    return _at_level(np.random.default_rng(seed).standard_normal(round(seconds * rate)), level)


def tone(
    seconds: float, rate: int = 16_000, *, level: float = -20.0, pitch: float = 440
) -> Samples:
    """A steady tone."""
    return _at_level(np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate), level)


def silence(seconds: float, rate: int = 16_000) -> Samples:
    """Digital silence."""
    return np.zeros(round(seconds * rate))


def pcm(samples: Samples) -> bytes:
    """Samples (full scale 1.0) as 16-bit PCM."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()


def write_wav(path: Path, *channels: Samples, rate: int = 16_000) -> Path:
    """A 16-bit WAV file with a plain 44-byte header."""
    data = pcm(np.stack(channels, axis=1).ravel())
    path.write_bytes(wav_header(len(data), channels=len(channels), rate=rate) + data)
    return path


def wav_header(
    size: int, *, channels: int = 1, rate: int = 16_000, bits: int = 16, code: int = 1
) -> bytes:
    """A WAV header that promises *size* bytes of samples."""
    block = channels * bits // 8
    layout = struct.pack("<HHIIHH", code, channels, rate, rate * block % 2**32, block % 2**16, bits)
    return (
        b"RIFF" + struct.pack("<I", min(size + 36, 2**32 - 1)) + b"WAVEfmt "
        + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", size)
    )  # fmt: skip


def write_float_wav(path: Path, samples: Samples, rate: int = 16_000) -> Path:
    """A WAV file of 32-bit floats, whatever they are."""
    data = samples.astype("<f4").tobytes()
    path.write_bytes(wav_header(len(data), rate=rate, bits=32, code=3) + data)
    return path


def encode(
    path: Path,
    *tracks: Samples,
    codec: str,
    rate: int = 16_000,
    picture: bool = False,
    options: dict[str, str] | None = None,
    languages: Sequence[str] = (),
) -> Path:
    """A file of the format that its name says, one mono audio track for each of *tracks*.

    *languages*: of the first tracks, as ISO 639-2 codes.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream("mpeg4", rate=5) if picture else None
        audio = [container.add_stream(codec, rate=rate, layout="mono") for _ in tracks]
        for stream, language in zip(audio, languages, strict=False):
            stream.metadata["language"] = language
        if video is not None:
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            for _ in range(round(5 * len(tracks[0]) / rate)):
                gray = np.full((32, 32, 3), 128, np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(gray, "rgb24")))
            container.mux(video.encode(None))
        for stream, samples in zip(audio, tracks, strict=True):
            _encode_track(container, stream, samples, rate)
    return path


def _encode_track(container, stream, samples: Samples, rate: int) -> None:
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout="mono",
        rate=stream.codec_context.sample_rate,
        frame_size=stream.codec_context.frame_size or 1024,
    )
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm(samples), "<i2")[None], "s16", "mono")
    frame.sample_rate = rate
    frame.pts = 0
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def _formants(frequency: float) -> float:
    return sum(np.exp(-(((frequency - peak) / 150) ** 2)) for peak in (600, 1200, 2400)) + 0.05


def _at_level(sound: Samples, level: float) -> Samples:
    rms = np.sqrt(np.mean(sound**2)) if len(sound) else 1.0
    return sound / max(rms, 1e-12) * 10 ** (level / 20)
