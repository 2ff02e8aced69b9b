"""From the bytes of a request to 16 kHz mono samples, by the rules that Riva has for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import av
from riva.client.proto.riva_asr_pb2 import RecognitionConfig
from riva.client.proto.riva_audio_pb2 import AudioEncoding

#: Samples a second, of 2 bytes each.
RATE = 16_000
LOWEST_RATE = 8_000

#: Files are known by their first bytes, whatever the request says of them.
_FILES = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg"}
_RAW = {
    AudioEncoding.LINEAR_PCM: "s16le",
    AudioEncoding.MULAW: "mulaw",
    AudioEncoding.ALAW: "alaw",
}


class BadSound(Exception):
    """Riva refuses the sound, in these words."""


def samples(source: BinaryIO, config: RecognitionConfig) -> Iterator[bytes]:
    """Decode a seekable file. Raises `BadSound`."""
    form, options = _form(source, config)
    try:
        with av.open(source, "r", format=form, options=options) as box:
            stream = box.streams.audio[0]
            _refuse(stream.codec_context, form, config)
            resampler = av.AudioResampler("s16", "mono", RATE)
            for frame in box.decode(stream):
                for even in resampler.resample(frame):
                    yield bytes(even.planes[0])[: 2 * even.samples]
    except av.error.FFmpegError as error:
        raise BadSound(f"Audio decoder exception: {error}") from error


def _form(source: BinaryIO, config: RecognitionConfig) -> tuple[str, dict[str, str]]:
    head = source.read(4)
    source.seek(0)
    if head in _FILES:
        return _FILES[head], {}
    if config.encoding not in _RAW or config.sample_rate_hertz < LOWEST_RATE:
        raise BadSound(
            "Request config encoding not specified and could not detect encoding from "
            "audio content."
        )
    return _RAW[config.encoding], {"sample_rate": str(config.sample_rate_hertz)}


def _refuse(codec: av.AudioCodecContext, form: str, config: RecognitionConfig) -> None:
    is_file = form in _FILES.values()
    if is_file and config.sample_rate_hertz not in (0, codec.sample_rate):
        raise BadSound("config format doesn't match with header format")
    if codec.layout.nb_channels != 1:
        raise BadSound("Only single channel audio input is supported.")
