"""Riva's speech recognition service as the protocol has it: models, offline and streaming calls."""

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
from riva_sim.hearing import Ear, Utterance, Word
from riva_sim.script import Script
from riva_sim.sound import BadSound, samples

LANGUAGE = "en-US"
OFFLINE, ONLINE = "offline", "online"
_KINDS = {"all": {OFFLINE, ONLINE}, "offline": {OFFLINE}, "streaming": {ONLINE}}
_NAMES = {
    OFFLINE: f"parakeet-0.6b-{LANGUAGE}-asr-offline-asr-bls-ensemble",
    ONLINE: f"parakeet-0.6b-{LANGUAGE}-asr-streaming-asr-bls-ensemble",
}
#: Calls that are heard side by side; PocketSphinx hears one at a time anyway.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Tls:
    """Texts in PEM form."""

    key: bytes
    certificate: bytes
    client_ca: bytes | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What it takes and from whom."""

    #: Bytes.
    max_message: int = 64 << 20
    at_once: int | None = None
    #: all, offline or streaming.
    mode: str = "all"
    key: str | None = None
    function_id: str | None = None


def serve(
    address: str, script: Script, limits: Limits, tls: Tls | None = None
) -> tuple[grpc.Server, int]:
    """Start a server; returns it with its port."""
    server = grpc.server(
        ThreadPoolExecutor(_THREADS),
        maximum_concurrent_rpcs=limits.at_once,
        options=[
            ("grpc.max_receive_message_length", limits.max_message),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ],
    )
    rpc.add_RivaSpeechRecognitionServicer_to_server(Service(script, limits), server)
    if tls:
        port = server.add_secure_port(address, _credentials(tls))
    else:
        port = server.add_insecure_port(address)
    server.start()
    return server, port


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)],
        root_certificates=tls.client_ca,
        require_client_auth=tls.client_ca is not None,
    )


class Service(rpc.RivaSpeechRecognitionServicer):
    """The three calls of the service, named as the protocol names them."""

    def __init__(self, script: Script, limits: Limits) -> None:
        self._script = script
        self._limits = limits
        self._models = {name: kind for kind, name in _NAMES.items() if kind in _KINDS[limits.mode]}

    def GetRivaSpeechRecognitionConfig(  # noqa: N802
        self, request: pb.RivaSpeechRecognitionConfigRequest, context: grpc.ServicerContext
    ) -> pb.RivaSpeechRecognitionConfigResponse:
        """List the models."""
        self._admit(context)
        answer = pb.RivaSpeechRecognitionConfigResponse()
        for name, kind in self._models.items():
            if request.model_name in ("", name):
                told = {"type": kind, "language_code": LANGUAGE, "sample_rate": "16000"}
                answer.model_config.add(model_name=name, parameters=told)
        return answer

    def Recognize(  # noqa: N802
        self, request: pb.RecognizeRequest, context: grpc.ServicerContext
    ) -> pb.RecognizeResponse:
        """Hear a whole recording at once."""
        padding = self._enter("Recognize", request.config, OFFLINE, context)
        said = list(_heard(io.BytesIO(request.audio), request.config, context))
        answer = pb.RecognizeResponse(id=request.id)
        for utterance, tagged in zip(said, _tagged(said, request.config), strict=True):
            answer.results.add(
                channel_tag=1,
                audio_processed=utterance.processed,
                alternatives=[_alternative(utterance.words, tagged, request.config)],
            )
        if padding:
            answer.results.add().alternatives.add(transcript="x" * padding)
        return answer

    def StreamingRecognize(  # noqa: N802
        self, requests: Iterator[pb.StreamingRecognizeRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.StreamingRecognizeResponse]:
        """Hear a stream once all of it is there, and tell it utterance by utterance."""
        first = next(requests, None)
        if first is None or first.WhichOneof("streaming_request") != "streaming_config":
            _refuse(context, "First StreamingRecognizeRequest must contain a streaming_config")
        config = first.streaming_config.config
        self._enter("StreamingRecognize", config, ONLINE, context)
        sound = io.BytesIO(b"".join(request.audio_content for request in requests))
        said: list[Utterance] = []
        for utterance in _heard(sound, config, context):
            said.append(utterance)
            result = pb.StreamingRecognitionResult(
                is_final=True,
                channel_tag=1,
                audio_processed=utterance.processed,
                alternatives=[_alternative(utterance.words, _tagged(said, config)[-1], config)],
            )
            yield pb.StreamingRecognizeResponse(id=first.id, results=[result])

    def _enter(
        self, call: str, config: pb.RecognitionConfig, kind: str, context: grpc.ServicerContext
    ) -> int:
        """Tell of the call, and end it where Riva would; returns bytes to add to the answer."""
        _tell(call, config, context)
        self._admit(context)
        padding = self._script.meet(context)
        offered = [name for name, has in self._models.items() if has == kind]
        is_known = config.model in ("", *offered) and config.language_code in ("", LANGUAGE)
        if not (offered and is_known):
            _refuse(
                context,
                "Unavailable model requested given these parameters: "
                f"language_code={config.language_code}; sample_rate={config.sample_rate_hertz}; "
                f"type={kind}; model={config.model};",
            )
        return padding

    def _admit(self, context: grpc.ServicerContext) -> None:
        sent = dict(context.invocation_metadata())
        if self._limits.key and sent.get("authorization") != f"Bearer {self._limits.key}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid authorization")
        if self._limits.function_id and sent.get("function-id") != self._limits.function_id:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such function")


def _tell(call: str, config: pb.RecognitionConfig, context: grpc.ServicerContext) -> None:
    told = {
        "call": call,
        "model": config.model,
        "language": config.language_code,
        "phrases": {
            phrase: round(one.boost, 3) for one in config.speech_contexts for phrase in one.phrases
        },
        "diarize": config.diarization_config.enable_speaker_diarization,
        "speakers": config.diarization_config.max_speaker_count,
        # Names only: one of them is a secret.
        "metadata": [name for name, _ in context.invocation_metadata()],
        "deadline": round(context.time_remaining() or 0.0, 1),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _heard(
    sound: io.BytesIO, config: pb.RecognitionConfig, context: grpc.ServicerContext
) -> Iterator[Utterance]:
    try:
        for utterance in Ear(config).utterances(samples(sound, config)):
            if not context.is_active():
                return
            if utterance.words:
                yield utterance
    except BadSound as error:
        _refuse(context, str(error))


def _refuse(context: grpc.ServicerContext, details: str) -> NoReturn:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Error: {details}")
    raise AssertionError("abort raises")


def _tagged(said: Sequence[Utterance], config: pb.RecognitionConfig) -> list[list[int]]:
    """The speaker of each word, utterance by utterance; 0 where nobody asked."""
    wanted = config.diarization_config
    if not wanted.enable_speaker_diarization:
        return [[0] * len(utterance.words) for utterance in said]
    found = iter(speakers.tags(said, wanted.max_speaker_count))
    return [[next(found) for _ in utterance.words] for utterance in said]


def _alternative(
    words: Sequence[Word], tagged: Sequence[int], config: pb.RecognitionConfig
) -> pb.SpeechRecognitionAlternative:
    texts = [word.text for word in words]
    if config.enable_automatic_punctuation:
        texts[0] = texts[0][:1].upper() + texts[0][1:]
        texts[-1] += "."
    # The space at the end, milliseconds and logarithms are Riva's.
    alternative = pb.SpeechRecognitionAlternative(
        transcript=" ".join(texts) + " ",
        confidence=statistics.fmean(math.log(word.probability) for word in words),
        language_code=[LANGUAGE],
    )
    if config.enable_word_time_offsets:
        for word, text, tag in zip(words, texts, tagged, strict=True):
            alternative.words.add(
                word=text,
                start_time=round(word.start * 1000),
                end_time=round(word.end * 1000),
                confidence=math.log(word.probability),
                speaker_tag=tag,
                language_code=LANGUAGE,
            )
    return alternative
