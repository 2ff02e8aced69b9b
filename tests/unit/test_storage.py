"""A directory keeps objects as the interface promises."""

import tempfile
from pathlib import Path

import pytest

from core.errors import NotFound, Unavailable
from core.settings import settings
from core.storage.directory import DirectoryStorage


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "objects")


def test_what_is_put_can_be_read_in_every_way(store: DirectoryStorage, tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    store.put_file("jobs/1/source", source)
    with store.open_local("jobs/1/source") as path:
        assert path.read_bytes() == source.read_bytes()
    assert b"".join(store.stream("jobs/1/source")) == source.read_bytes()
    assert store.get_bytes("jobs/1/source") == source.read_bytes()


def test_a_file_that_is_given_away_becomes_the_object(store: DirectoryStorage, tmp_path: Path):
    given = tmp_path / "given"
    given.write_bytes(b"sound")
    store.put_bytes("jobs/1/source", b"what was there")
    store.move_file("jobs/1/source", given)
    assert store.get_bytes("jobs/1/source") == b"sound"
    assert not given.exists()


def test_a_file_on_another_disk_can_be_given_away(store: DirectoryStorage, tmp_path: Path):
    elsewhere = Path("/dev/shm")  # in memory, so no other files are there
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk")
    with tempfile.NamedTemporaryFile(dir=elsewhere) as given:
        given.write(b"sound")
        given.flush()
        store.move_file("jobs/1/source", Path(given.name))
    assert store.get_bytes("jobs/1/source") == b"sound"


def test_a_copy_is_the_same_and_stands_alone(store: DirectoryStorage):
    store.put_bytes("incoming/a", b"x" * 3_000_000)
    store.copy("incoming/a", "jobs/1/source")
    assert store.get_size("jobs/1/source") == store.get_size("incoming/a") == 3_000_000
    store.delete("incoming/a")
    assert store.get_bytes("jobs/1/source") == b"x" * 3_000_000


@pytest.mark.parametrize("key", ["incoming/none", "incoming", "../outside", ""])
def test_what_is_not_there_has_no_size_and_no_copy(store: DirectoryStorage, tmp_path: Path, key):
    (tmp_path / "outside").write_bytes(b"not yours")
    store.put_bytes("incoming/a", b"x")
    with pytest.raises(NotFound):
        store.get_size(key)
    with pytest.raises(NotFound):
        store.copy(key, "jobs/1/source")
    assert store.list_keys("") == ["incoming/a"]


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (7, 7), (1_000_000, 2_500_000), (4, None)])
def test_a_part_can_be_read(store: DirectoryStorage, start: int, stop: int | None):
    content = bytes(range(250)) * 12_000
    store.put_bytes("jobs/1/source", content)
    assert b"".join(store.stream("jobs/1/source", start, stop)) == content[start:stop]


def test_the_last_writer_wins(store: DirectoryStorage):
    store.put_bytes("a/b", b"first")
    store.put_bytes("a/b", b"second")
    assert store.get_bytes("a/b") == b"second"
    assert store.list_keys("a/") == ["a/b"]


def test_keys_are_found_by_prefix_and_sorted(store: DirectoryStorage):
    for key in ("jobs/1/b", "jobs/1/a", "jobs/10/a", "jobs/2/a"):
        store.put_bytes(key, b"")
    assert store.list_keys("jobs/1/") == ["jobs/1/a", "jobs/1/b"]
    assert store.list_keys("jobs/1") == ["jobs/1/a", "jobs/1/b", "jobs/10/a"]


def test_deleting_takes_only_what_has_the_prefix_and_may_run_twice(store: DirectoryStorage):
    for key in ("jobs/1/source", "jobs/1/chunks/0", "jobs/10/source"):
        store.put_bytes(key, b"")
    store.delete("jobs/1/")
    store.delete("jobs/1/")
    assert store.list_keys("jobs/") == ["jobs/10/source"]
    store.delete("jobs/10/source")
    assert store.list_keys("jobs/") == []


@pytest.mark.parametrize("key", ["jobs/none", "../outside", "jobs/../../outside"])
def test_what_is_not_there_or_outside_is_not_found(store: DirectoryStorage, tmp_path: Path, key):
    (tmp_path / "outside").write_bytes(b"not yours")
    with pytest.raises(NotFound):
        store.get_bytes(key)


def test_nothing_is_written_outside(store: DirectoryStorage, tmp_path: Path):
    with pytest.raises(NotFound):
        store.put_bytes("../outside", b"x")
    assert not (tmp_path / "outside").exists()


def test_a_write_that_fails_leaves_nothing_and_says_so(store: DirectoryStorage, tmp_path: Path):
    with pytest.raises(Unavailable):
        store.put_file("a/b", tmp_path / "missing")
    with pytest.raises(Unavailable):
        store.move_file("a/b", tmp_path / "missing")
    assert store.list_keys("") == []
    assert not any((tmp_path / "objects").rglob("*[0-9a-f]" * 4))


def test_a_server_that_is_down_is_unavailable_and_not_named(monkeypatch: pytest.MonkeyPatch):
    """The same storage on a real server is in `tests/services`."""
    from core.storage.s3 import S3Storage

    monkeypatch.setenv("MINIO_ENDPOINT", "127.0.0.1:9")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "who")
    monkeypatch.setenv("MINIO_SECRET_KEY", "never-to-be-seen")
    settings.cache_clear()
    with pytest.raises(Unavailable) as caught:
        S3Storage.from_settings(settings()).get_bytes("a")
    assert "127.0.0.1" not in str(caught.value)
