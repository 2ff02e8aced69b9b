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

from core import layout, scratch
from core.errors import NotFound, Unavailable
from core.settings import Settings

log = structlog.get_logger(__name__)

BLOCK = 1024 * 1024
#: Bytes of a part of a large object; two are under way at a time, so memory stays constant. What is
#: no larger is sent and fetched in one request.
PART = 8 * 1024 * 1024
_TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=2)
#: The server copies by itself, but none copies more than 5 GiB at once.
_COPY = TransferConfig(multipart_threshold=1024**3, multipart_chunksize=256 * 1024**2)

#: Under which an object says what it was when it was written. Not every server knows checksums of
#: its own, and a wrong byte in the sound would be a wrong word that nobody notices.
_SHA256 = "sha256"

_NO_BUCKET = "NoSuchBucket"
_MISSING = {"NoSuchKey", "404", "NotFound", _NO_BUCKET}
_DELETE_AT_ONCE = 1000
#: Names that are listed at a time, and no more than servers give.
PAGE = 1000

#: What a writer that was killed has sent of an object is no object, and takes space for ever. What
#: is over has to be told from what is kept by the records, so no rule of a bucket can remove it.
_RULE = {
    "ID": "transcribe-half-written",
    "Status": "Enabled",
    "Filter": {"Prefix": layout.JOBS},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
#: Other settings of a bucket that are lost when its rules are written without them.
_KEPT = ("TransitionDefaultMinimumObjectSize",)


class S3Storage:
    """One bucket, made when something is written and it is not there."""

    def __init__(self, client: Any, bucket: str, scratch: Path, links: Any) -> None:
        self._client = client
        self._bucket = bucket
        self._scratch = scratch
        #: Signs links, which must name the storage as callers do; None: they do not reach it.
        self._links = links

    @classmethod
    def from_settings(cls, settings: Settings) -> S3Storage:
        scheme = "https" if settings.minio_use_ssl else "http"
        client = links = _client(settings, f"{scheme}://{settings.minio_endpoint}")
        if public := settings.minio_public_url:
            links = None if public == "none" else _client(settings, public)
        return cls(client, settings.minio_bucket_name, settings.scratch_dir, links)

    def put_file(self, key: str, path: Path) -> None:
        is_small = path.stat().st_size <= PART
        send = partial(self._send_small if is_small else self._send_large, key, path)
        self._write(partial(send, {_SHA256: _sha256(path)}), key)

    def _send_small(self, key: str, path: Path, metadata: dict[str, str]) -> None:
        # What boto has for files of any size costs more than to send a chunk.
        with path.open("rb") as body:
            self._put(key, body, metadata)

    def _send_large(self, key: str, path: Path, metadata: dict[str, str]) -> None:
        self._client.upload_file(
            str(path), self._bucket, key, ExtraArgs={"Metadata": metadata}, Config=_TRANSFER
        )

    take_file = put_file

    def put_bytes(self, key: str, data: bytes) -> None:
        metadata = {_SHA256: hashlib.sha256(data).hexdigest()}
        self._write(partial(self._put, key, data, metadata), key)

    def _put(self, key: str, body: bytes | IO[bytes], metadata: dict[str, str]) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=metadata)

    def _write(self, put: Callable[[], object], key: str) -> None:
        with _translated(key):
            try:
                put()
            except (ClientError, Boto3Error) as error:
                if _code(_cause(error)) != _NO_BUCKET:
                    raise
                self._make_bucket()
                put()

    def _make_bucket(self) -> None:
        try:
            self._client.create_bucket(Bucket=self._bucket)
        except ClientError as error:
            # Another process was faster.
            if _code(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise
        self._set_rule()

    def get_bytes(self, key: str) -> bytes:
        with _translated(key):
            told = self._client.get_object(Bucket=self._bucket, Key=key)
            with closing(told["Body"]) as stream:
                body: bytes = stream.read()
        _refuse_other_bytes(told, hashlib.sha256(body).hexdigest())
        return body

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(scratch.folder("object-", self._scratch))
                self._download(key, folder / "object")
            except OSError as error:
                raise Unavailable(f"an object has no room here: {error.strerror}") from error
            yield folder / "object"

    def _download(self, key: str, path: Path) -> None:
        with _translated(key):
            told = self._client.get_object(Bucket=self._bucket, Key=key)
            is_small = told["ContentLength"] <= PART
            with closing(told["Body"]) as body, path.open("wb") as file:
                if is_small:
                    shutil.copyfileobj(body, file, BLOCK)
            if not is_small:  # in parts, of which each is asked for again that breaks off
                self._client.download_file(self._bucket, key, str(path), Config=_TRANSFER)
        _refuse_other_bytes(told, _sha256(path))

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        part = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        whole = start == 0 and stop is None  # for an empty object no range is right
        with _translated(key):
            told = self._client.get_object(Bucket=self._bucket, Key=key, **({} if whole else part))
            # Whoever stops reading early gives the connection back all the same.
            with closing(told["Body"]) as body:
                yield from body.iter_chunks(BLOCK)

    def size(self, key: str) -> int:
        with _translated(key):
            return int(self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"])

    def copy(self, source: str, target: str) -> None:
        with _translated(source):
            self._client.copy(
                {"Bucket": self._bucket, "Key": source}, self._bucket, target, Config=_COPY
            )

    def keys(self, prefix: str) -> list[str]:
        with suppress(NotFound), _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))
        return []  # there is no bucket yet

    def folders(self, prefix: str) -> Iterator[list[str]]:
        with suppress(NotFound), _translated(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket,
                Prefix=prefix,
                Delimiter="/",
                PaginationConfig={"PageSize": PAGE},
            ):
                found = (one["Prefix"] for one in page.get("CommonPrefixes", ()))
                yield [name.removeprefix(prefix).rstrip("/") for name in found]

    def written_at(self, key: str) -> datetime:
        with _translated(key):
            told = self._client.head_object(Bucket=self._bucket, Key=key)
        written: datetime = told["LastModified"]
        return written

    def delete(self, prefix: str) -> None:
        keys = self.keys(prefix)
        for start in range(0, len(keys), _DELETE_AT_ONCE):
            some = [{"Key": key} for key in keys[start : start + _DELETE_AT_ONCE]]
            with _translated(prefix):
                told = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": some, "Quiet": True}
                )
            for left in told.get("Errors", ()):
                raise Unavailable(f"the object store refused: {left.get('Code', 'unknown')}")

    def url(self, key: str, *, seconds: int) -> str | None:
        if self._links is None:
            return None
        link: str = self._links.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
        )
        return link

    def ping(self) -> None:
        with _translated(self._bucket):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if _code(error) not in _MISSING:
                    raise
                self._make_bucket()

    def tidy(self) -> None:
        with _translated(self._bucket):
            self._set_rule()

    def _set_rule(self) -> None:
        """Add our rule to those of the bucket; servers that know none go without."""
        try:
            present = self._lifecycle()
            others = [rule for rule in present.get("Rules", ()) if rule.get("ID") != _RULE["ID"]]
            if _RULE in present.get("Rules", ()):
                return
            kept = {name: present[name] for name in _KEPT if name in present}
            self._client.put_bucket_lifecycle_configuration(
                Bucket=self._bucket,
                LifecycleConfiguration={"Rules": [*others, _RULE]},
                **kept,
            )
        except ClientError as error:
            log.info("the object store keeps half-written objects", reason=_code(error))

    def _lifecycle(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = self._client.get_bucket_lifecycle_configuration(
                Bucket=self._bucket
            )
        except ClientError as error:
            if _code(error) != "NoSuchLifecycleConfiguration":
                raise
            return {}
        return told


def _client(settings: Settings, url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=settings.minio_access_key,
        aws_secret_access_key=settings.minio_secret_key,
        region_name=settings.minio_region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            # Servers other than AWS do not all know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 4, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
        ),
    )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn boto's errors into ours, without the address or the credentials in them."""
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        cause = _cause(error)
        if not isinstance(cause, ClientError):
            reason = f"the object store does not answer ({type(cause).__name__})"
        elif _code(cause) in _MISSING:
            raise NotFound(f"there is no object {what}") from error
        else:
            reason = f"the object store refused: {_code(cause)}"
        raise Unavailable(reason) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_other_bytes(told: dict[str, Any], sha256: str) -> None:
    """What others have put there has no such mark, and is taken as it is."""
    if told["Metadata"].get(_SHA256, sha256) != sha256:
        raise Unavailable("the object store gave other bytes than it was given")


def _cause(error: BaseException) -> BaseException:
    """What was refused: transfers hide it behind an error of their own."""
    return error.__context__ if isinstance(error, Boto3Error) and error.__context__ else error


def _code(error: BaseException) -> str:
    told = error.response if isinstance(error, ClientError) else {}
    return str(told.get("Error", {}).get("Code", "unknown"))
