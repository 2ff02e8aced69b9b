"""The same behaviour on real servers: run where one is named, for it cannot come from a wheel.

``TEST_S3_ENDPOINT`` (``host:port``, with ``TEST_S3_ACCESS_KEY`` and ``TEST_S3_SECRET_KEY``) and
``TEST_DATABASE_URL`` (an empty PostgreSQL database) name them.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from core.errors import NotFound, Unavailable
from core.settings import settings
from core.storage.s3 import S3Storage
from tests.integration.conftest import SAMPLE, started
from transcribe_api.client import Client

S3 = {
    "MINIO_ENDPOINT": os.environ.get("TEST_S3_ENDPOINT", ""),
    "MINIO_ACCESS_KEY": os.environ.get("TEST_S3_ACCESS_KEY", ""),
    "MINIO_SECRET_KEY": os.environ.get("TEST_S3_SECRET_KEY", ""),
}
DATABASE = os.environ.get("TEST_DATABASE_URL", "")

needs_s3 = pytest.mark.skipif(not S3["MINIO_ENDPOINT"], reason="TEST_S3_ENDPOINT names no server")
needs_both = pytest.mark.skipif(
    not (DATABASE and S3["MINIO_ENDPOINT"]),
    reason="TEST_DATABASE_URL and TEST_S3_ENDPOINT name no servers",
)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Storage]:
    for name, value in S3.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MINIO_BUCKET_NAME", f"test-{uuid.uuid4().hex[:12]}")
    settings.cache_clear()
    made = S3Storage.from_settings(settings())
    yield made
    made.delete("")


@needs_s3
def test_a_large_object_goes_both_ways_in_parts(store: S3Storage, tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20_000_000))
    store.put_file("jobs/1/source", source)
    with store.local("jobs/1/source") as path:
        assert path.read_bytes() == source.read_bytes()
    assert not path.exists()
    assert b"".join(store.stream("jobs/1/source")) == source.read_bytes()


@needs_s3
def test_keys_are_found_and_deleted_by_prefix(store: S3Storage):
    for key in ("jobs/1/b", "jobs/1/a", "jobs/10/a"):
        store.put_bytes(key, b"x")
    assert store.keys("jobs/1/") == ["jobs/1/a", "jobs/1/b"]
    store.delete("jobs/1/")
    store.delete("jobs/1/")
    assert store.keys("jobs/") == ["jobs/10/a"]
    with pytest.raises(NotFound):
        store.get_bytes("jobs/1/a")


@needs_s3
def test_a_link_works_without_credentials_and_in_ranges(store: S3Storage):
    store.put_bytes("a", b"0123456789")
    link = store.url("a", seconds=60)
    assert link is not None
    assert S3["MINIO_SECRET_KEY"] not in link
    assert httpx2.get(link).content == b"0123456789"
    assert httpx2.get(link, headers={"Range": "bytes=2-4"}).content == b"234"


@needs_s3
def test_a_second_process_finds_the_bucket_made(store: S3Storage):
    S3Storage.from_settings(settings()).ping()


def test_a_server_that_is_down_is_unavailable(monkeypatch: pytest.MonkeyPatch):
    for name, value in {**S3, "MINIO_ENDPOINT": "127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value or "x")
    settings.cache_clear()
    with pytest.raises(Unavailable) as caught:
        S3Storage.from_settings(settings())
    assert "127.0.0.1" not in str(caught.value)


@needs_both
@pytest.mark.processes
def test_the_main_job_on_postgresql_and_s3(tmp_path: Path):
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    servers = S3 | {"DATABASE_URL": DATABASE, "MINIO_BUCKET_NAME": bucket}
    with started(tmp_path / "data", **servers) as stack, Client(stack.url) as client:
        job_id = client.submit(SAMPLE)["job_id"]
        *_, last = client.events(job_id)
        assert last.data["status"] == "completed", last.data
        result = client.result(job_id)
        assert {one["speaker_tag"] for one in result["segments"]} == {0, 1}
        assert S3["MINIO_ENDPOINT"] in result["audio_url"]
        assert httpx2.get(result["audio_url"]).content == SAMPLE.read_bytes()
        assert "chunks/chunk_0000.wav" in client.artefacts(job_id)
        assert not (tmp_path / "data" / "transcribe.db").exists()
        assert not (tmp_path / "data" / "objects").exists()
