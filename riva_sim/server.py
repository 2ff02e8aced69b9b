"""Riva's speech recognition service by its protocol: models, offline and streaming calls."""

from __future__ import annotations

import io
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NoReturn

import grpc
from riva.client.proto import riva_asr_pb2 as pb
from riva.client.proto import riva_asr_pb2_grpc as rpc

from riva_sim import speakers
from riva_sim.hearing import RecognizedWord, Utterance, UtteranceRecognizer
from riva_sim.script import Script
from riva_sim.sound import InvalidAudio, decode_samples

LANGUAGE = "en-US"
OFFLINE, ONLINE = "offline", "online"
_KINDS_BY_MODE = {"all": {OFFLINE, ONLINE}, "offline": {OFFLINE}, "streaming": {ONLINE}}
_MODEL_NAMES = {
    OFFLINE: f"parakeet-0.6b-{LANGUAGE}-asr-offline-asr-bls-ensemble",
    ONLINE: f"parakeet-0.6b-{LANGUAGE}-asr-streaming-asr-bls-ensemble",
}
#: Concurrent calls; PocketSphinx processes one at a time anyway.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Tls:
    """Key and certificates in PEM form."""

    key: bytes
    certificate: bytes
    client_ca: bytes | None = None


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits and credentials of the server."""

    #: Bytes.
    max_message: int = 64 << 20
    at_once: int | None = None
    #: all, offline or streaming.
    mode: str = "all"
    key: str | None = None
    function_id: str | None = None


def serve(
    address: str, script: Script, limits: ServerLimits, tls: Tls | None = None
) -> tuple[grpc.Server, int]:
    """Start a server; return it with its port."""
    server = grpc.server(
        ThreadPoolExecutor(_THREADS),
        maximum_concurrent_rpcs=limits.at_once,
        options=[
            ("grpc.max_receive_message_length", limits.max_message),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ],
    )
    rpc.add_RivaSpeechRecognitionServicer_to_server(RivaService(script, limits), server)
    if tls:
        port = server.add_secure_port(address, _build_credentials(tls))
    else:
        port = server.add_insecure_port(address)
    server.start()
    return server, port


def _build_credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)],
        root_certificates=tls.client_ca,
        require_client_auth=tls.client_ca is not None,
    )


class RivaService(rpc.RivaSpeechRecognitionServicer):
    """The three calls of the service, named as the protocol names them."""

    def __init__(self, script: Script, limits: ServerLimits) -> None:
        self._script = script
        self._limits = limits
        self._models = {
            name: kind for kind, name in _MODEL_NAMES.items() if kind in _KINDS_BY_MODE[limits.mode]
        }

    def GetRivaSpeechRecognitionConfig(  # noqa: N802
        self, request: pb.RivaSpeechRecognitionConfigRequest, context: grpc.ServicerContext
    ) -> pb.RivaSpeechRecognitionConfigResponse:
        """Return the models."""
        self._authorize(context)
        response = pb.RivaSpeechRecognitionConfigResponse()
        for name, kind in self._models.items():
            if request.model_name in ("", name):
                parameters = {"type": kind, "language_code": LANGUAGE, "sample_rate": "16000"}
                response.model_config.add(model_name=name, parameters=parameters)
        return response

    def Recognize(  # noqa: N802
        self, request: pb.RecognizeRequest, context: grpc.ServicerContext
    ) -> pb.RecognizeResponse:
        """Recognize a whole recording in one call."""
        padding = self._begin_call("Recognize", request.config, OFFLINE, context)
        utterances = list(_hear_utterances(io.BytesIO(request.audio), request.config, context))
        response = pb.RecognizeResponse(id=request.id)
        for utterance, utterance_tags in zip(
            utterances, _tag_words(utterances, request.config), strict=True
        ):
            response.results.add(
                channel_tag=1,
                audio_processed=utterance.processed,
                alternatives=[_build_alternative(utterance.words, utterance_tags, request.config)],
            )
        if padding:
            response.results.add().alternatives.add(transcript="x" * padding)
        return response

    def StreamingRecognize(  # noqa: N802
        self, requests: Iterator[pb.StreamingRecognizeRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.StreamingRecognizeResponse]:
        """Recognize a stream once it is complete, and yield a response per utterance."""
        first = next(requests, None)
        if first is None or first.WhichOneof("streaming_request") != "streaming_config":
            _abort_call(context, "First StreamingRecognizeRequest must contain a streaming_config")
        config = first.streaming_config.config
        self._begin_call("StreamingRecognize", config, ONLINE, context)
        audio = io.BytesIO(b"".join(request.audio_content for request in requests))
        utterances: list[Utterance] = []
        for utterance in _hear_utterances(audio, config, context):
            utterances.append(utterance)
            result = pb.StreamingRecognitionResult(
                is_final=True,
                channel_tag=1,
                audio_processed=utterance.processed,
                alternatives=[
                    _build_alternative(utterance.words, _tag_words(utterances, config)[-1], config)
                ],
            )
            yield pb.StreamingRecognizeResponse(id=first.id, results=[result])

    def _begin_call(
        self, call: str, config: pb.RecognitionConfig, kind: str, context: grpc.ServicerContext
    ) -> int:
        """Log the call, and abort it where Riva would; return bytes to add to the response."""
        _log_call(call, config, context)
        self._authorize(context)
        padding = self._script.apply_next(context)
        model_names = [name for name, model_kind in self._models.items() if model_kind == kind]
        is_known = config.model in ("", *model_names) and config.language_code in ("", LANGUAGE)
        if not (model_names and is_known):
            _abort_call(
                context,
                "Unavailable model requested given these parameters: "
                f"language_code={config.language_code}; sample_rate={config.sample_rate_hertz}; "
                f"type={kind}; model={config.model};",
            )
        return padding

    def _authorize(self, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        if self._limits.key and metadata.get("authorization") != f"Bearer {self._limits.key}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid authorization")
        if self._limits.function_id and metadata.get("function-id") != self._limits.function_id:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such function")


def _log_call(call: str, config: pb.RecognitionConfig, context: grpc.ServicerContext) -> None:
    record = {
        "call": call,
        "model": config.model,
        "language": config.language_code,
        "phrases": {
            phrase: round(speech_context.boost, 3)
            for speech_context in config.speech_contexts
            for phrase in speech_context.phrases
        },
        "diarize": config.diarization_config.enable_speaker_diarization,
        "speakers": config.diarization_config.max_speaker_count,
        # Names only, since one of the values is a secret.
        "metadata": [name for name, _ in context.invocation_metadata()],
        "deadline": round(context.time_remaining() or 0.0, 1),
    }
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def _hear_utterances(
    audio: io.BytesIO, config: pb.RecognitionConfig, context: grpc.ServicerContext
) -> Iterator[Utterance]:
    try:
        for utterance in UtteranceRecognizer(config).recognize(decode_samples(audio, config)):
            if not context.is_active():
                return
            if utterance.words:
                yield utterance
    except InvalidAudio as error:
        _abort_call(context, str(error))


def _abort_call(context: grpc.ServicerContext, details: str) -> NoReturn:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Error: {details}")
    raise AssertionError("abort raises")


def _tag_words(utterances: Sequence[Utterance], config: pb.RecognitionConfig) -> list[list[int]]:
    """Return the speaker of each word by utterance; 0 if diarization was not requested."""
    diarization_config = config.diarization_config
    if not diarization_config.enable_speaker_diarization:
        return [[0] * len(utterance.words) for utterance in utterances]
    tags = iter(speakers.tag_words(utterances, diarization_config.max_speaker_count))
    return [[next(tags) for _ in utterance.words] for utterance in utterances]


def _build_alternative(
    words: Sequence[RecognizedWord], tags: Sequence[int], config: pb.RecognitionConfig
) -> pb.SpeechRecognitionAlternative:
    texts = [word.text for word in words]
    if config.enable_automatic_punctuation:
        texts[0] = texts[0][:1].upper() + texts[0][1:]
        texts[-1] += "."
    # The trailing space, milliseconds and logarithms are as in Riva.
    alternative = pb.SpeechRecognitionAlternative(
        transcript=" ".join(texts) + " ",
        confidence=statistics.fmean(math.log(word.probability) for word in words),
        language_code=[LANGUAGE],
    )
    if config.enable_word_time_offsets:
        for word, text, tag in zip(words, texts, tags, strict=True):
            alternative.words.add(
                word=text,
                start_time=round(word.start * 1000),
                end_time=round(word.end * 1000),
                confidence=math.log(word.probability),
                speaker_tag=tag,
                language_code=LANGUAGE,
            )
    return alternative
