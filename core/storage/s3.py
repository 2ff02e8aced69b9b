"""Objects in S3-compatible storage: MinIO, Ceph, AWS and the like."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import NotFound, Unavailable
from core.settings import Settings

BLOCK = 1024 * 1024
#: Bytes of a part of a multipart upload; two are under way at a time, so memory stays constant.
PART = 8 * 1024 * 1024
_TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=2)

_MISSING = {"NoSuchKey", "404", "NotFound"}
_DELETE_AT_ONCE = 1000


class S3Storage:
    """One bucket, made when it is first written to and not there."""

    def __init__(self, client: Any, bucket: str, scratch: Path) -> None:
        self._client = client
        self._bucket = bucket
        self._scratch = scratch

    @classmethod
    def from_settings(cls, settings: Settings) -> S3Storage:
        scheme = "https" if settings.minio_use_ssl else "http"
        client = boto3.client(
            "s3",
            endpoint_url=f"{scheme}://{settings.minio_endpoint}",
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
        made = cls(client, settings.minio_bucket_name, settings.scratch_dir)
        made.make_bucket()
        return made

    def make_bucket(self) -> None:
        """Make the bucket unless it is there."""
        with _translated(self._bucket):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if _code(error) not in {*_MISSING, "NoSuchBucket"}:
                    raise
                self._create_bucket()

    def _create_bucket(self) -> None:
        try:
            self._client.create_bucket(Bucket=self._bucket)
        except ClientError as error:
            # Another process was faster.
            if _code(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def put_file(self, key: str, path: Path) -> None:
        with _translated(key):
            self._client.upload_file(str(path), self._bucket, key, Config=_TRANSFER)

    def put_bytes(self, key: str, data: bytes) -> None:
        with _translated(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def get_bytes(self, key: str) -> bytes:
        with _translated(key):
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            return body

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            path = Path(folder) / "object"
            with _translated(key):
                self._client.download_file(self._bucket, key, str(path), Config=_TRANSFER)
            yield path

    def stream(self, key: str) -> Iterator[bytes]:
        with _translated(key):
            yield from self._client.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(
                BLOCK
            )

    def keys(self, prefix: str) -> list[str]:
        with _translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def delete(self, prefix: str) -> None:
        keys = self.keys(prefix)
        for start in range(0, len(keys), _DELETE_AT_ONCE):
            some = [{"Key": key} for key in keys[start : start + _DELETE_AT_ONCE]]
            with _translated(prefix):
                self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": some, "Quiet": True}
                )

    def url(self, key: str, *, seconds: int) -> str | None:
        link: str = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
        )
        return link

    def ping(self) -> None:
        with _translated(self._bucket):
            self._client.head_bucket(Bucket=self._bucket)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn boto's errors into ours, without the address or the credentials in them."""
    try:
        yield
    except ClientError as error:
        if _code(error) in _MISSING:
            raise NotFound(f"there is no object {what}") from error
        raise Unavailable(f"the object store refused: {_code(error)}") from error
    except BotoCoreError as error:
        raise Unavailable(f"the object store does not answer ({type(error).__name__})") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
