"""Decode the bytes of a request to 16 kHz mono samples, by Riva's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import av
from riva.client.proto.riva_asr_pb2 import RecognitionConfig
from riva.client.proto.riva_audio_pb2 import AudioEncoding

#: Sampling rate (Hz); a sample has 2 bytes.
RATE = 16_000
MIN_RATE = 8_000

#: First bytes of files, which override the encoding in the request.
_FILE_FORMATS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg"}
_RAW_FORMATS = {
    AudioEncoding.LINEAR_PCM: "s16le",
    AudioEncoding.MULAW: "mulaw",
    AudioEncoding.ALAW: "alaw",
}


class InvalidAudio(Exception):
    """Riva rejects the audio with this message."""


def decode_samples(source: BinaryIO, config: RecognitionConfig) -> Iterator[bytes]:
    """Decode a seekable file to blocks of samples. Raises `InvalidAudio`."""
    audio_format, options = _detect_format(source, config)
    try:
        with av.open(source, "r", format=audio_format, options=options) as container:
            stream = container.streams.audio[0]
            _check_format(stream.codec_context, audio_format, config)
            resampler = av.AudioResampler("s16", "mono", RATE)
            for frame in container.decode(stream):
                for block in resampler.resample(frame):
                    yield bytes(block.planes[0])[: 2 * block.samples]
    except av.error.FFmpegError as error:
        raise InvalidAudio(f"Audio decoder exception: {error}") from error


def _detect_format(source: BinaryIO, config: RecognitionConfig) -> tuple[str, dict[str, str]]:
    head = source.read(4)
    source.seek(0)
    if head in _FILE_FORMATS:
        return _FILE_FORMATS[head], {}
    if config.encoding not in _RAW_FORMATS or config.sample_rate_hertz < MIN_RATE:
        raise InvalidAudio(
            "Request config encoding not specified and could not detect encoding from "
            "audio content."
        )
    return _RAW_FORMATS[config.encoding], {"sample_rate": str(config.sample_rate_hertz)}


def _check_format(
    codec: av.AudioCodecContext, audio_format: str, config: RecognitionConfig
) -> None:
    is_file = audio_format in _FILE_FORMATS.values()
    if is_file and config.sample_rate_hertz not in (0, codec.sample_rate):
        raise InvalidAudio("config format doesn't match with header format")
    if codec.layout.nb_channels != 1:
        raise InvalidAudio("Only single channel audio input is supported.")
