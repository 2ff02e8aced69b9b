"""The line to a Riva server: one channel a process, a deadline on every call, and no tries of its
own, for the queue has a chunk tried again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from riva.client.proto import riva_asr_pb2 as pb
from riva.client.proto.riva_asr_pb2_grpc import RivaSpeechRecognitionStub

from core.errors import EngineError, Unavailable
from core.settings import Settings
from engines.nim.failures import failure
from engines.nim.models import Model

#: Seconds for the list of models.
PATIENCE = 10
#: Bytes; gRPC's own limit would be 4 MiB, two minutes of sound. The server has one of its own.
LARGEST_MESSAGE = 64 << 20

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    # A server that froze is noticed after these, but only with the last of the three.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # One that was away is found again soon.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 0),
)


class Line:
    """Calls to the server of these settings. Every method raises our errors, see `failure`."""

    def __init__(self, now: Settings) -> None:
        self._now = now
        self._opened: tuple[int, RivaSpeechRecognitionStub] | None = None

    def models(self) -> tuple[Model, ...]:
        """What the server lists; `Unavailable` while it lists nothing, for then it is loading."""
        with _our_errors():
            answer = self._stub.GetRivaSpeechRecognitionConfig(
                pb.RivaSpeechRecognitionConfigRequest(),
                timeout=PATIENCE,
                metadata=self._metadata,
            )
        if not answer.model_config:
            raise Unavailable("Riva has no models yet")
        return tuple(_model(one) for one in answer.model_config)

    def recognize(
        self, config: pb.RecognitionConfig, pcm: bytes, timeout: float
    ) -> Sequence[pb.SpeechRecognitionResult]:
        """Have a piece of sound heard in one message."""
        request = pb.RecognizeRequest(config=config, audio=pcm)
        with _our_errors():
            answer = self._stub.Recognize(request, timeout=timeout, metadata=self._metadata)
        return list(answer.results)

    def stream(
        self, config: pb.RecognitionConfig, sound: Iterable[bytes], timeout: float
    ) -> Sequence[pb.StreamingRecognitionResult]:
        """Have sound of any length heard, given in small pieces."""
        final: list[pb.StreamingRecognitionResult] = []
        draft: pb.StreamingRecognitionResult | None = None
        with _our_errors():
            for answer in self._stub.StreamingRecognize(
                _requests(config, sound), timeout=timeout, metadata=self._metadata
            ):
                for result in answer.results:
                    if result.is_final:
                        final.append(result)
                        draft = None
                    else:
                        draft = result
        # Some hosted servers never call their last result final.
        return final if draft is None else [*final, draft]

    @property
    def _stub(self) -> RivaSpeechRecognitionStub:
        # Neither a channel nor gRPC's threads survive a fork, so a child opens a line of its own.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), RivaSpeechRecognitionStub(_channel(self._now))
        return self._opened[1]

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        sent = {
            "authorization": self._now.riva_api_key and f"Bearer {self._now.riva_api_key}",
            "function-id": self._now.riva_function_id,
        }
        return tuple((name, value) for name, value in sent.items() if value)


def _channel(now: Settings) -> grpc.Channel:
    if not now.riva_use_ssl:
        return grpc.insecure_channel(now.riva_target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(now.riva_ssl_cert),
        private_key=_read(now.riva_ssl_client_key),
        certificate_chain=_read(now.riva_ssl_client_cert),
    )
    return grpc.secure_channel(now.riva_target, credentials, options=_OPTIONS)


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise EngineError(f"a file of RIVA_SSL_... cannot be read: {error.strerror}") from error


def _requests(
    config: pb.RecognitionConfig, sound: Iterable[bytes]
) -> Iterator[pb.StreamingRecognizeRequest]:
    yield pb.StreamingRecognizeRequest(streaming_config={"config": config})
    for piece in sound:
        yield pb.StreamingRecognizeRequest(audio_content=piece)


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise failure(error) from error


def _model(listed: pb.RivaSpeechRecognitionConfigResponse.Config) -> Model:
    languages = listed.parameters.get("language_code", "").replace(",", " ").split()
    return Model(listed.model_name, listed.parameters.get("type") == "online", tuple(languages))
