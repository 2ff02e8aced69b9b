"""Files that the embedded Redis cannot load: found by trying, kept, and nothing else is touched."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest
import redis

from core.filesystem import private_files
from core.settings import settings
from tests.factories.commands import parse_findings, run_command
from tests.unit.conftest import answers
from transcribe_api.stack import embedded_redis
from transcribe_api.stack.supervisor import Stack, StackError


@contextmanager
def running(folder: Path) -> Iterator[redis.Redis]:
    socket = settings().redis_socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    command = embedded_redis.build_command(folder, socket)
    with Popen(command, stdout=DEVNULL) as server, redis.Redis.from_url(settings().redis) as client:
        try:
            while not answers(client):
                assert server.poll() is None
            yield client
        finally:
            server.terminate()


@pytest.fixture
def folder(data_dir: Path) -> Path:
    """Where a Redis has left a file of each kind."""
    folder = data_dir / "redis"
    private_files.make_folder(folder)
    with running(folder) as client:
        client.mset({f"first-{number}": "x" * 100 for number in range(100)})
        client.bgrewriteaof()
        while client.info("persistence")["aof_rewrite_in_progress"] or not base(folder):
            pass
        client.mset({f"second-{number}": "x" * 100 for number in range(100)})
    return folder


def base(folder: Path) -> list[Path]:
    """The file of the last rewrite: the first one holds nothing."""
    return list((folder / embedded_redis.AOF_DIRECTORY).glob("*.2.base.rdb"))


def one(folder: Path, pattern: str) -> Path:
    [found] = (folder / embedded_redis.AOF_DIRECTORY).glob(pattern)
    return found


def garbage_in_the_log(folder: Path) -> None:
    file = one(folder, "*.incr.aof")
    content = bytearray(file.read_bytes())
    content[300:315] = b"garbage garbage"
    file.write_bytes(content)


def truncated_base(folder: Path) -> None:
    file = one(folder, "*.base.rdb")
    file.write_bytes(file.read_bytes()[:-100])


def base_that_ends_in_zeros(folder: Path) -> None:
    """As after a power cut: such a file makes the server crash."""
    file = one(folder, "*.base.rdb")
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(content[:half] + bytes(len(content) - half))


def base_of_another_version(folder: Path) -> None:
    file = one(folder, "*.base.rdb")
    file.write_bytes(b"REDIS9999" + file.read_bytes()[9:])


def missing_base(folder: Path) -> None:
    one(folder, "*.base.rdb").unlink()


def garbage_manifest(folder: Path) -> None:
    one(folder, "*.manifest").write_bytes(bytes(range(256)))


def empty_manifest(folder: Path) -> None:
    one(folder, "*.manifest").write_bytes(b"")


SPOILERS = [
    garbage_in_the_log,
    truncated_base,
    base_that_ends_in_zeros,
    base_of_another_version,
    missing_base,
    garbage_manifest,
    empty_manifest,
]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_whole_files_are_not_damaged_nor_is_an_end_that_was_cut_off(folder: Path):
    assert embedded_redis.find_damage(folder) is None
    log = one(folder, "*.incr.aof")
    log.write_bytes(log.read_bytes()[:-10])
    before = content(folder)
    assert embedded_redis.find_damage(folder) is None
    assert content(folder) == before


def test_where_no_redis_was_nothing_is_damaged(tmp_path: Path):
    assert embedded_redis.find_damage(tmp_path) is None


@pytest.mark.parametrize("spoil", SPOILERS)
def test_damage_is_found_and_nothing_is_changed(folder: Path, spoil: Callable[[Path], None]):
    spoil(folder)
    before = content(folder)
    line = parse_findings(run_command("doctor", "--port", "0").output)["redis"]
    assert line.startswith("BROKEN")
    assert str(folder / embedded_redis.AOF_DIRECTORY) in line
    assert "sets it aside" in line
    assert content(folder) == before


@pytest.fixture
def stack() -> Iterator[tuple[Stack, list[str]]]:
    """A stack of which only Redis is started, and what it tells."""
    said: list[str] = []
    stack = Stack(port=1, notify=said.append)
    private_files.make_folder(stack.logs)
    yield stack, said
    stack.stop()


@pytest.mark.parametrize("spoil", SPOILERS)
def test_damaged_files_are_kept_and_redis_starts_without_them(
    folder: Path, stack: tuple[Stack, list[str]], spoil: Callable[[Path], None]
):
    spoil(folder)
    before = content(folder)
    running, said = stack
    running._start_redis()
    [kept] = embedded_redis.find_set_aside(folder)
    assert content(kept) == before
    assert len(said) == 1
    assert str(kept) in said[0]
    assert redis.Redis.from_url(settings().redis).dbsize() == 0
    assert "runs" in parse_findings(run_command("doctor", "--port", "0").output)["redis"]


def test_whole_files_stay_where_they_are(folder: Path, stack: tuple[Stack, list[str]]):
    running, said = stack
    running._start_redis()
    assert redis.Redis.from_url(settings().redis).dbsize() == 200
    assert (embedded_redis.find_set_aside(folder), said) == ([], [])


def test_what_is_not_for_the_files_touches_none(folder: Path, stack: tuple[Stack, list[str]]):
    (settings().redis_socket / "taken").mkdir(parents=True)
    before = content(folder)
    running, said = stack
    with pytest.raises(StackError, match="redis exited with code 1"):
        running._start_redis()
    assert (embedded_redis.find_set_aside(folder), said) == ([], [])
    assert content(folder) == before


def test_files_are_put_back_if_redis_does_not_start_without_them_either(
    folder: Path, stack: tuple[Stack, list[str]], monkeypatch: pytest.MonkeyPatch
):
    garbage_in_the_log(folder)
    before = content(folder)
    says = "echo 'Bad file format reading the append only file x'; exit 1"
    monkeypatch.setattr(embedded_redis, "build_command", lambda *_: ("sh", "-c", says))
    running, said = stack
    with pytest.raises(StackError, match="redis exited with code 1"):
        running._start_redis()
    assert (embedded_redis.find_set_aside(folder), said) == ([], [])
    assert content(folder) == before


ALL_MEMORY = "Out Of Memory allocating 4096 bytes!"
LOADING = "Cleaning slot migration log in anticipation of a load operation."


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (f"{LOADING}\n{ALL_MEMORY}", -signal.SIGABRT, False),
        (f"{LOADING}\nShort read or OOM loading DB\nfailed allocating 100 bytes", 1, False),
        (f"{LOADING}\nOut Of Memory allocating {1 << 60} bytes!", -signal.SIGABRT, True),
        (LOADING, -signal.SIGSEGV, True),
        (LOADING, -signal.SIGKILL, False),
        ("", -signal.SIGSEGV, False),
        (f"{LOADING}\nReady to accept connections unix", -signal.SIGSEGV, False),
        ("Can't open the append-only file a: Permission denied", 1, False),
        ("Unrecoverable error reading the append only file a: Input/output error", 1, False),
        ("Can't open or create append-only dir a: No space left on device", 1, False),
        ("Can't open or create append-only dir a: Not a directory", 1, True),
    ],
)
def test_only_files_that_make_no_sense_are_refused(words: str, code: int, expected: bool):
    assert embedded_redis.has_refused_files(words, code) is expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (ALL_MEMORY, "Redis ran out of memory"),
        ("Can't open the append-only file a: Permission denied", "has no permission"),
        ("Can't open or create append-only dir a: No space left on device", "free some"),
        ("Can't open or create append-only dir a: Read-only file system", "read-only"),
    ],
)
def test_other_failures_have_sentences_of_their_own(tmp_path: Path, words: str, expected: str):
    sentence = embedded_redis.explain_end(words, tmp_path)
    assert sentence is not None
    assert expected in sentence
    assert embedded_redis.explain_end("something else", tmp_path) is None
