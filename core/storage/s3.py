"""Objects in S3-compatible storage: MinIO, Ceph, AWS and the like."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import boto3
import structlog
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core import scratch
from core.errors import NotFound, Unavailable
from core.settings import Settings
from core.storage import layout

log = structlog.get_logger(__name__)

BLOCK_BYTES = 1024 * 1024
#: Bytes of a part of a large object; two parts are transferred at a time, so memory stays constant.
#: Objects up to this size are transferred in one request.
PART_BYTES = 8 * 1024 * 1024
_TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=2
)
#: The server copies objects itself, but at most 5 GiB per request.
_COPY = TransferConfig(multipart_threshold=1024**3, multipart_chunksize=256 * 1024**2)

#: Metadata key for an object's checksum at the time of writing. Not every server has checksums of
#: its own, and a wrong byte in the audio would be a wrong word that nobody notices.
_SHA256 = "sha256"

_NO_BUCKET = "NoSuchBucket"
_MISSING_CODES = {"NoSuchKey", "404", "NotFound", _NO_BUCKET}
_DELETE_BATCH_SIZE = 1000
#: Names per page; servers do not return more.
PAGE_SIZE = 1000

#: Incomplete uploads of killed writers are not objects, but would take space forever. Only the
#: database can tell ended jobs from current ones, so no bucket rule can remove complete objects.
_LIFECYCLE_RULE = {
    "ID": "transcribe-half-written",
    "Status": "Enabled",
    "Filter": {"Prefix": layout.JOBS_PREFIX},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
#: Other settings of a bucket that are lost if its rules are written without them.
_PRESERVED_SETTINGS = ("TransitionDefaultMinimumObjectSize",)


class S3Storage:
    """One bucket, created when it is missing and something is written."""

    def __init__(self, client: Any, bucket: str, scratch_dir: Path, link_client: Any) -> None:
        self._client = client
        self._bucket = bucket
        self._scratch_dir = scratch_dir
        #: Signs links with the storage's address for callers; None: callers cannot reach it.
        self._link_client = link_client

    @classmethod
    def from_settings(cls, settings: Settings) -> S3Storage:
        scheme = "https" if settings.minio_use_ssl else "http"
        client = link_client = _build_client(settings, f"{scheme}://{settings.minio_endpoint}")
        if public := settings.minio_public_url:
            link_client = None if public == "none" else _build_client(settings, public)
        return cls(client, settings.minio_bucket_name, settings.scratch_dir, link_client)

    def put_file(self, key: str, path: Path) -> None:
        is_small = path.stat().st_size <= PART_BYTES
        send = partial(self._send_small if is_small else self._send_large, key, path)
        self._write(partial(send, {_SHA256: _sha256(path)}), key)

    def _send_small(self, key: str, path: Path, metadata: dict[str, str]) -> None:
        # boto's upload for files of any size takes longer than sending a chunk.
        with path.open("rb") as body:
            self._put(key, body, metadata)

    def _send_large(self, key: str, path: Path, metadata: dict[str, str]) -> None:
        self._client.upload_file(
            str(path), self._bucket, key, ExtraArgs={"Metadata": metadata}, Config=_TRANSFER
        )

    move_file = put_file

    def put_bytes(self, key: str, data: bytes) -> None:
        metadata = {_SHA256: hashlib.sha256(data).hexdigest()}
        self._write(partial(self._put, key, data, metadata), key)

    def _put(self, key: str, body: bytes | IO[bytes], metadata: dict[str, str]) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=metadata)

    def _write(self, put: Callable[[], object], key: str) -> None:
        with _translate_errors(key):
            try:
                put()
            except (ClientError, Boto3Error) as error:
                if _error_code(_find_cause(error)) != _NO_BUCKET:
                    raise
                self._make_bucket()
                put()

    def _make_bucket(self) -> None:
        try:
            self._client.create_bucket(Bucket=self._bucket)
        except ClientError as error:
            # Another process was faster.
            if _error_code(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise
        self._set_lifecycle_rule()

    def get_bytes(self, key: str) -> bytes:
        with _translate_errors(key):
            response = self._client.get_object(Bucket=self._bucket, Key=key)
            with closing(response["Body"]) as stream:
                body: bytes = stream.read()
        _check_sha256(response, hashlib.sha256(body).hexdigest())
        return body

    @contextmanager
    def open_local(self, key: str) -> Iterator[Path]:
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(scratch.temporary_folder("object-", self._scratch_dir))
                self._download(key, folder / "object")
            except OSError as error:
                raise Unavailable(
                    f"cannot write an object to the local disk: {error.strerror}"
                ) from error
            yield folder / "object"

    def _download(self, key: str, path: Path) -> None:
        with _translate_errors(key):
            response = self._client.get_object(Bucket=self._bucket, Key=key)
            is_small = response["ContentLength"] <= PART_BYTES
            with closing(response["Body"]) as body, path.open("wb") as file:
                if is_small:
                    shutil.copyfileobj(body, file, BLOCK_BYTES)
            if not is_small:  # in parts; a part that breaks off is requested again
                self._client.download_file(self._bucket, key, str(path), Config=_TRANSFER)
        _check_sha256(response, _sha256(path))

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        byte_range = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        is_whole = start == 0 and stop is None  # an empty object has no valid range
        with _translate_errors(key):
            response = self._client.get_object(
                Bucket=self._bucket, Key=key, **({} if is_whole else byte_range)
            )
            # The connection is returned even if the caller stops reading early.
            with closing(response["Body"]) as body:
                yield from body.iter_chunks(BLOCK_BYTES)

    def get_size(self, key: str) -> int:
        with _translate_errors(key):
            return int(self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"])

    def copy(self, source: str, target: str) -> None:
        with _translate_errors(source):
            self._client.copy(
                {"Bucket": self._bucket, "Key": source}, self._bucket, target, Config=_COPY
            )

    def list_keys(self, prefix: str) -> list[str]:
        with suppress(NotFound), _translate_errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            return sorted(
                stored_object["Key"] for page in pages for stored_object in page.get("Contents", ())
            )
        return []  # there is no bucket yet

    def list_folders(self, prefix: str) -> Iterator[list[str]]:
        with suppress(NotFound), _translate_errors(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket,
                Prefix=prefix,
                Delimiter="/",
                PaginationConfig={"PageSize": PAGE_SIZE},
            ):
                prefixes = (
                    common_prefix["Prefix"] for common_prefix in page.get("CommonPrefixes", ())
                )
                yield [name.removeprefix(prefix).rstrip("/") for name in prefixes]

    def get_modified_at(self, key: str) -> datetime:
        with _translate_errors(key):
            response = self._client.head_object(Bucket=self._bucket, Key=key)
        modified_at: datetime = response["LastModified"]
        return modified_at

    def delete(self, prefix: str) -> None:
        keys = self.list_keys(prefix)
        for start in range(0, len(keys), _DELETE_BATCH_SIZE):
            batch = [{"Key": key} for key in keys[start : start + _DELETE_BATCH_SIZE]]
            with _translate_errors(prefix):
                response = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": batch, "Quiet": True}
                )
            for failure in response.get("Errors", ()):
                raise Unavailable(
                    f"the object store refused the request: {failure.get('Code', 'unknown')}"
                )

    def presign_url(self, key: str, *, seconds: int) -> str | None:
        if self._link_client is None:
            return None
        link: str = self._link_client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
        )
        return link

    def ping(self) -> None:
        with _translate_errors(self._bucket):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if _error_code(error) not in _MISSING_CODES:
                    raise
                self._make_bucket()

    def remove_unfinished(self) -> None:
        with _translate_errors(self._bucket):
            self._set_lifecycle_rule()

    def _set_lifecycle_rule(self) -> None:
        """Add the rule to those of the bucket, if the server supports rules."""
        try:
            configuration = self._read_lifecycle()
            other_rules = [
                rule
                for rule in configuration.get("Rules", ())
                if rule.get("ID") != _LIFECYCLE_RULE["ID"]
            ]
            if _LIFECYCLE_RULE in configuration.get("Rules", ()):
                return
            preserved = {
                name: configuration[name] for name in _PRESERVED_SETTINGS if name in configuration
            }
            self._client.put_bucket_lifecycle_configuration(
                Bucket=self._bucket,
                LifecycleConfiguration={"Rules": [*other_rules, _LIFECYCLE_RULE]},
                **preserved,
            )
        except ClientError as error:
            log.info("the object store keeps half-written objects", reason=_error_code(error))

    def _read_lifecycle(self) -> dict[str, Any]:
        try:
            configuration: dict[str, Any] = self._client.get_bucket_lifecycle_configuration(
                Bucket=self._bucket
            )
        except ClientError as error:
            if _error_code(error) != "NoSuchLifecycleConfiguration":
                raise
            return {}
        return configuration


def _build_client(settings: Settings, url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=settings.minio_access_key,
        aws_secret_access_key=settings.minio_secret_key,
        region_name=settings.minio_region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            # Not all servers other than AWS support the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 4, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
        ),
    )


@contextmanager
def _translate_errors(name: str) -> Iterator[None]:
    """Convert boto's errors to those of `core.errors`, without addresses or credentials."""
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        cause = _find_cause(error)
        if not isinstance(cause, ClientError):
            reason = f"the object store does not answer ({type(cause).__name__})"
        elif _error_code(cause) in _MISSING_CODES:
            raise NotFound(f"there is no object {name}") from error
        else:
            reason = f"the object store refused the request: {_error_code(cause)}"
        raise Unavailable(reason) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sha256(response: dict[str, Any], sha256: str) -> None:
    """Compare the checksum, unless the object has none: others may have written it."""
    if response["Metadata"].get(_SHA256, sha256) != sha256:
        raise Unavailable("the object store returned other data than was stored")


def _find_cause(error: BaseException) -> BaseException:
    """Return the original error, which transfers wrap in an error of their own."""
    return error.__context__ if isinstance(error, Boto3Error) and error.__context__ else error


def _error_code(error: BaseException) -> str:
    response = error.response if isinstance(error, ClientError) else {}
    return str(response.get("Error", {}).get("Code", "unknown"))
