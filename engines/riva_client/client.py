"""Client of a Riva server: one channel per process, and a deadline on every call.

It does not retry: the queue retries the chunk.
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
from engines.riva_client.failures import convert_error
from engines.riva_client.server_models import RivaModel

#: Seconds to wait for the list of models.
TIMEOUT_SECONDS = 10
#: Bytes; gRPC's default limit is 4 MiB, two minutes of audio. The server has its own limit.
MAX_MESSAGE_BYTES = 64 << 20

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A frozen server is detected after these times; this requires the last of the three.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Reconnect soon to a server that was down.
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 0),
)


class RivaClient:
    """Calls to the configured server. Every method raises `core.errors`, see `failures`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: tuple[int, RivaSpeechRecognitionStub] | None = None

    def list_models(self) -> tuple[RivaModel, ...]:
        """Return the server's models; raise `Unavailable` if there are none, as while they load."""
        with _translate_errors():
            response = self._stub.GetRivaSpeechRecognitionConfig(
                pb.RivaSpeechRecognitionConfigRequest(),
                timeout=TIMEOUT_SECONDS,
                metadata=self._metadata,
            )
        if not response.model_config:
            raise Unavailable("Riva has no models yet")
        return tuple(_parse_model(model_config) for model_config in response.model_config)

    def recognize(
        self, config: pb.RecognitionConfig, pcm: bytes, timeout: float
    ) -> Sequence[pb.SpeechRecognitionResult]:
        """Transcribe a piece of audio in one message."""
        request = pb.RecognizeRequest(config=config, audio=pcm)
        with _translate_errors():
            response = self._stub.Recognize(request, timeout=timeout, metadata=self._metadata)
        return list(response.results)

    def stream(
        self, config: pb.RecognitionConfig, audio: Iterable[bytes], timeout: float
    ) -> Sequence[pb.StreamingRecognitionResult]:
        """Transcribe audio of any length, sent in small pieces."""
        final: list[pb.StreamingRecognitionResult] = []
        draft: pb.StreamingRecognitionResult | None = None
        with _translate_errors():
            for response in self._stub.StreamingRecognize(
                _build_requests(config, audio), timeout=timeout, metadata=self._metadata
            ):
                for result in response.results:
                    if result.is_final:
                        final.append(result)
                        draft = None
                    else:
                        draft = result
        # Some hosted servers never mark their last result as final.
        return final if draft is None else [*final, draft]

    @property
    def _stub(self) -> RivaSpeechRecognitionStub:
        # Neither a channel nor gRPC's threads survive a fork, so a child opens its own channel.
        if self._connection is None or self._connection[0] != os.getpid():
            self._connection = os.getpid(), RivaSpeechRecognitionStub(_open_channel(self._settings))
        return self._connection[1]

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        headers = {
            "authorization": self._settings.riva_api_key
            and f"Bearer {self._settings.riva_api_key}",
            "function-id": self._settings.riva_function_id,
        }
        return tuple((name, value) for name, value in headers.items() if value)


def _open_channel(settings: Settings) -> grpc.Channel:
    if not settings.riva_use_ssl:
        return grpc.insecure_channel(settings.riva_target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read_file(settings.riva_ssl_cert),
        private_key=_read_file(settings.riva_ssl_client_key),
        certificate_chain=_read_file(settings.riva_ssl_client_cert),
    )
    return grpc.secure_channel(settings.riva_target, credentials, options=_OPTIONS)


def _read_file(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise EngineError(f"a file of RIVA_SSL_... cannot be read: {error.strerror}") from error


def _build_requests(
    config: pb.RecognitionConfig, audio: Iterable[bytes]
) -> Iterator[pb.StreamingRecognizeRequest]:
    yield pb.StreamingRecognizeRequest(streaming_config={"config": config})
    for block in audio:
        yield pb.StreamingRecognizeRequest(audio_content=block)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise convert_error(error) from error


def _parse_model(model_config: pb.RivaSpeechRecognitionConfigResponse.Config) -> RivaModel:
    languages = model_config.parameters.get("language_code", "").replace(",", " ").split()
    return RivaModel(
        model_config.model_name, model_config.parameters.get("type") == "online", tuple(languages)
    )
