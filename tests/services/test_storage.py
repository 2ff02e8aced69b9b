"""Objects in real S3: signatures, parts, links, rules, and what happens when it is gone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from botocore.exceptions import ClientError

from core import clock
from core.errors import NotFound, Unavailable
from core.settings import settings
from core.storage import layout, orphaned_uploads
from core.storage import s3 as s3_storage
from core.storage.s3 import PART_BYTES, S3Storage
from tests.factories.jobs import accept_job
from tests.faults import disk, proxy
from tests.faults.proxy import Mood, Proxy
from tests.services.radosgw import RadosGateway
from tests.services.servers import Server

MEGABYTE = 1024 * 1024
KEY = layout.source("1")


@pytest.fixture
def store(s3: Server, use: Callable[..., None]) -> Iterator[S3Storage]:
    use(**s3.settings, MINIO_BUCKET_NAME=f"test-{uuid.uuid4().hex[:12]}")
    made = S3Storage.from_settings(settings())
    yield made
    made.delete("")


@pytest.fixture
def killed(s3: Server) -> Iterator[Server]:
    s3.kill()
    yield s3
    s3.start()


def rules(store: S3Storage) -> list[dict]:
    told = store._client.get_bucket_lifecycle_configuration(Bucket=store._bucket)
    return told["Rules"]


def half_written(store: S3Storage) -> list[str]:
    told = store._client.list_multipart_uploads(Bucket=store._bucket)
    return [upload["Key"] for upload in told.get("Uploads", ())]


def test_an_upload_of_100_mb_comes_out_as_it_went_in(store: S3Storage, tmp_path: Path):
    source, digest = tmp_path / "source", hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(101):
            block = os.urandom(MEGABYTE)
            digest.update(block)
            file.write(block)
    store.put_file(KEY, source)
    assert store.get_size(KEY) == 101 * MEGABYTE
    assert hashlib.sha256(b"".join(store.stream(KEY))).hexdigest() == digest.hexdigest()
    with store.open_local(KEY) as path:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest.hexdigest()
    assert not path.exists()
    assert half_written(store) == []


@pytest.fixture
def broken(store: S3Storage, use: Callable[..., None]) -> Iterator[tuple[S3Storage, Proxy]]:
    """The same storage, behind something that spoils its answers."""
    with proxy.before(store._client.meta.endpoint_url.removeprefix("http://")) as made:
        use(MINIO_ENDPOINT=made.address)
        yield S3Storage.from_settings(settings()), made


@pytest.mark.parametrize("size", [3 * MEGABYTE, PART_BYTES + 1])
@pytest.mark.parametrize("mood", [Mood.CORRUPT, Mood.SHORT, Mood.ERRORS, Mood.GONE])
def test_a_wrong_answer_is_refused_and_the_next_one_taken(
    broken: tuple[S3Storage, Proxy], tmp_path: Path, mood: Mood, size: int
):
    ours, server = broken
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    ours.put_file(KEY, source)
    ours.put_bytes("jobs/1/a", b"said")
    with server.feeling(mood):
        with pytest.raises(Unavailable):
            ours.get_bytes("jobs/1/a")
        with pytest.raises(Unavailable), ours.open_local(KEY):
            pass
    assert ours.get_bytes("jobs/1/a") == b"said"
    with ours.open_local(KEY) as path:
        assert path.read_bytes() == source.read_bytes()
    assert list(settings().scratch_dir.iterdir()) == []


def test_what_others_have_put_there_can_be_read(store: S3Storage):
    store.ping()
    store._client.put_object(Bucket=store._bucket, Key="incoming/a", Body=b"theirs")
    store.copy("incoming/a", KEY)
    assert store.get_bytes(KEY) == b"theirs"


def test_a_disk_without_room_for_an_object_is_an_outage(store: S3Storage, tmp_path: Path):
    store.put_bytes(KEY, b"x" * MEGABYTE)
    with disk.small(tmp_path / "disk", megabytes=2) as room:
        if not room.can_be_filled:
            pytest.skip("only root may mount a disk")
        ours = S3Storage(store._client, store._bucket, room.folder, None)
        with room.full(), pytest.raises(Unavailable), ours.open_local(KEY):
            pass
        with ours.open_local(KEY) as path:
            assert path.stat().st_size == MEGABYTE


def test_folders_are_listed_by_the_page_and_objects_know_their_age(store: S3Storage, monkeypatch):
    assert [name for page in store.list_folders(layout.JOBS_PREFIX) for name in page] == []
    monkeypatch.setattr(s3_storage, "PAGE_SIZE", 2)
    names = {str(number) for number in range(5)}
    for name in names:
        for key in (layout.source(name), layout.chunk_audio(name, 0)):
            store.put_bytes(key, b"sound")
    store.put_bytes("incoming/call.wav", b"theirs")
    pages = list(store.list_folders(layout.JOBS_PREFIX))
    assert sorted(name for page in pages for name in page) == sorted(names)
    assert {len(page) for page in pages} <= {1, 2}
    assert abs(store.get_modified_at(KEY) - clock.utc_now()) < timedelta(hours=1)
    with pytest.raises(NotFound):
        store.get_modified_at("jobs/none")


def test_uploads_without_a_job_are_removed(store: S3Storage, database: None, monkeypatch):
    job_id, young = str(uuid.uuid4()), str(uuid.uuid4())
    for one in (job_id, accept_job()):
        store.put_bytes(layout.source(one), b"sound")
    store.put_bytes(layout.source(young), b"sound")
    assert orphaned_uploads.remove_orphans() == []
    monkeypatch.setattr(orphaned_uploads, "MIN_AGE", timedelta(hours=-1))
    assert sorted(orphaned_uploads.remove_orphans()) == sorted([job_id, young])
    assert len(store.list_keys(layout.JOBS_PREFIX)) == 1, "that of the job that was accepted"


def test_keys_are_found_and_deleted_by_prefix(store: S3Storage):
    for key in ("jobs/1/b", "jobs/1/a", "jobs/10/a"):
        store.put_bytes(key, b"x")
    assert store.list_keys("jobs/1/") == ["jobs/1/a", "jobs/1/b"]
    store.delete("jobs/1/")
    store.delete("jobs/1/")
    assert store.list_keys("jobs/") == ["jobs/10/a"]
    for read in (store.get_bytes, store.get_size, lambda key: list(store.stream(key))):
        with pytest.raises(NotFound):
            read("jobs/1/a")
    with pytest.raises(NotFound), store.open_local("jobs/1/a"):
        pass


def test_more_objects_than_one_page_are_all_deleted(store: S3Storage):
    store.ping()
    with ThreadPoolExecutor(8) as pool:
        for number in range(1010):
            pool.submit(store.put_bytes, f"jobs/1/{number:04}", b"")
    assert len(store.list_keys("jobs/1/")) == 1010
    store.delete("jobs/1/")
    assert store.list_keys("") == []


def test_a_part_can_be_read_and_reading_can_end_early(store: S3Storage):
    content = bytes(range(250)) * 12_000
    store.put_bytes(KEY, content)
    for start, stop in ((0, 5), (1_000_000, 2_500_000), (4, None)):
        assert b"".join(store.stream(KEY, start, stop)) == content[start:stop]
    for _ in range(50):  # more than there are connections
        blocks = store.stream(KEY)
        assert next(blocks) == content[: 1024 * 1024]
        blocks.close()
    store.put_bytes(KEY, b"")
    assert b"".join(store.stream(KEY)) == b""


def test_an_object_is_copied_by_the_server(store: S3Storage):
    store.put_bytes("incoming/a", b"heard")
    store.copy("incoming/a", KEY)
    assert store.get_bytes(KEY) == b"heard"


def test_a_link_works_without_credentials_and_in_ranges(store: S3Storage):
    store.put_bytes(KEY, b"0123456789")
    link = store.presign_url(KEY, seconds=60)
    assert link is not None
    assert settings().minio_secret_key not in link
    assert httpx2.get(link).content == b"0123456789"
    part = httpx2.get(link, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert httpx2.get(link.replace("source", "other")).status_code == 403
    assert httpx2.get(link.partition("?")[0]).status_code == 403


def test_a_link_names_the_storage_as_callers_reach_it(
    store: S3Storage, s3: Server, use: Callable[..., None]
):
    store.put_bytes(KEY, b"x")
    port = s3.settings["MINIO_ENDPOINT"].rpartition(":")[2]
    use(MINIO_PUBLIC_URL=f"http://localhost:{port}")
    link = S3Storage.from_settings(settings()).presign_url(KEY, seconds=60)
    assert link.startswith(f"http://localhost:{port}/")
    assert httpx2.get(link).content == b"x"
    use(MINIO_PUBLIC_URL="none")
    assert S3Storage.from_settings(settings()).presign_url(KEY, seconds=60) is None


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_a_link_works_in_curl(store: S3Storage):
    store.put_bytes(KEY, b"0123456789")
    link = store.presign_url(KEY, seconds=60)
    assert link is not None
    told = subprocess.run(["curl", "-sS", "-r", "-3", link], capture_output=True, check=True)
    assert told.stdout == b"789"


def test_wrong_credentials_are_refused_and_not_told(store: S3Storage, use: Callable[..., None]):
    store.put_bytes(KEY, b"x")
    use(MINIO_SECRET_KEY="wrong-secret")
    stranger = S3Storage.from_settings(settings())
    with pytest.raises(Unavailable) as caught:
        stranger.get_bytes(KEY)
    assert "wrong-secret" not in str(caught.value)
    with pytest.raises(Unavailable):
        stranger.put_bytes(KEY, b"y")


def test_the_bucket_is_made_by_whoever_needs_it_first(store: S3Storage, tmp_path: Path):
    store.ping()
    S3Storage.from_settings(settings()).ping()
    other = S3Storage(store._client, f"{store._bucket}-2", tmp_path, None)
    (tmp_path / "large").write_bytes(bytes(PART_BYTES + 1))
    other.put_file(KEY, tmp_path / "large")
    assert other.list_keys("") == [KEY]
    other.delete("")


def test_the_rules_of_an_operator_stay_beside_ours(store: S3Storage):
    store.ping()
    [ours] = rules(store)
    theirs = {
        "ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "incoming/"},
        "Expiration": {"Days": 30},
    }  # fmt: skip
    store._client.put_bucket_lifecycle_configuration(
        Bucket=store._bucket, LifecycleConfiguration={"Rules": [theirs]}
    )
    store.remove_unfinished()
    store.remove_unfinished()
    assert sorted(rules(store), key=lambda rule: rule["ID"]) == [theirs, ours]


def test_what_a_killed_writer_left_half_written_goes(store: S3Storage, s3: Server):
    if not isinstance(s3, RadosGateway):
        pytest.skip("a server that is not ours cannot be told to hurry")
    store.put_bytes(KEY, b"whole")
    begun = store._client.create_multipart_upload(Bucket=store._bucket, Key=KEY)
    store._client.upload_part(
        Bucket=store._bucket, Key=KEY, UploadId=begun["UploadId"], PartNumber=1, Body=b"half"
    )
    assert half_written(store) == [KEY]
    time.sleep(2)
    for _ in range(5):
        s3.fire_lifecycle_rules(store._bucket)
        if not half_written(store):
            break
    assert half_written(store) == []
    assert store.get_bytes(KEY) == b"whole"


def test_a_server_that_knows_no_rules_is_good_enough(store: S3Storage, monkeypatch):
    refusal = ClientError({"Error": {"Code": "NotImplemented"}}, "PutBucketLifecycleConfiguration")

    def refuse(**_: object) -> None:
        raise refusal

    monkeypatch.setattr(store._client, "put_bucket_lifecycle_configuration", refuse)
    store.put_bytes(KEY, b"x")
    store.remove_unfinished()
    assert store.get_bytes(KEY) == b"x"


def test_a_write_that_is_refused_half_way_leaves_nothing(store: S3Storage, tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(bytes(3 * PART_BYTES))
    store.ping()

    def spoil(params: dict, **_: object) -> None:
        if params["PartNumber"] == 3:
            params["UploadId"] = "none"

    store._client.meta.events.register("provide-client-params.s3.UploadPart", spoil)
    with pytest.raises(Unavailable, match="NoSuchUpload"):
        store.put_file(KEY, source)
    assert half_written(store) == []
    assert store.list_keys("") == []


def test_a_server_that_is_down_is_unavailable_for_everything(
    store: S3Storage, killed: Server, tmp_path: Path
):
    (tmp_path / "large").write_bytes(bytes(PART_BYTES + 1))
    calls: list[Callable[[], object]] = [
        lambda: store.put_bytes(KEY, b"x"),
        lambda: store.put_file(KEY, tmp_path / "large"),
        lambda: store.get_bytes(KEY),
        lambda: list(store.stream(KEY)),
        lambda: store.open_local(KEY).__enter__(),
        lambda: store.list_keys(""),
        lambda: store.get_size(KEY),
        store.ping,
        store.remove_unfinished,
    ]
    for call in calls:
        with pytest.raises(Unavailable) as caught:
            call()
        assert "127.0.0.1" not in str(caught.value)
