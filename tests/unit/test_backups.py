"""A backup is of one moment, whatever goes on meanwhile; a restore takes all of it, or nothing."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from click.testing import CliRunner, Result

from core.access import local_token
from core.backups import archive, snapshot
from core.db import migrate, transactions
from core.db.transactions import read_session, transaction
from core.filesystem import data_directory_lock
from core.jobs import lifecycle, recovery
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import PartKind, PartState, Stage
from core.storage import layout, storage
from tests.factories.jobs import (
    TimeMachine,
    accept_job,
    begin_preparation,
    claim_lost_chunks,
    create_listening_job,
    finish_preparation,
    lease_part,
    send_parts,
    store_part,
)
from transcribe_api.cli.command import main
from transcripts.warning import from_json

pytestmark = pytest.mark.usefixtures("database")

RECORDS, MANIFEST = "transcribe.db", "manifest.json"


def run(*words: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def backup(tmp_path: Path) -> Callable[[], Path]:
    """Makes one more backup."""
    numbers = itertools.count()

    def make() -> Path:
        file = tmp_path / f"{next(numbers)}.tar"
        result = run("backup", file)
        assert (result.exit_code, result.stdout.strip()) == (0, str(file)), result.stderr
        return file

    return make


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is not there yet, which `restore` fills."""
    monkeypatch.setenv("TRANSCRIBE_DATA_DIR", str(settings().transcribe_data_dir))
    return tmp_path / "elsewhere"


def restore(file: Path, folder: Path) -> Result:
    return run("restore", file, "--data-dir", folder)


def refuse(file: Path, folder: Path, why: str) -> None:
    """Hold that it is refused with these words, and leaves nothing."""
    result = restore(file, folder)
    assert result.exit_code == 1
    assert why in result.stderr
    assert not folder.exists()


def put(job_id: str, *names: str, content: bytes = b"sound") -> str:
    for name in names:
        storage().put_bytes(layout.job_prefix(job_id) + name, content)
    return job_id


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]


def rewrite(file: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The same archive with other members, under a manifest that is as it was."""
    content = members(file)
    change(content)
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in content.items():
            add(tar, tarfile.TarInfo(name), data)
    return file


def add(tar: tarfile.TarFile, header: tarfile.TarInfo, data: bytes = b"") -> None:
    header.size = len(data)
    tar.addfile(header, io.BytesIO(data))


def query(database: Path, text: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(text).fetchall()


def test_what_is_restored_is_what_was_there(backup, elsewhere: Path):
    job_id = put(create_listening_job(), "source", "chunks/chunk_0000.wav", "parts/chunk_0000.json")
    local_token.ensure_token()
    storage().put_bytes("incoming/theirs.wav", b"no object of a job")
    file = backup()
    result = restore(file, elsewhere)
    assert result.exit_code == 0, result.stderr
    assert str(elsewhere) in result.stdout
    left = {str(one.relative_to(elsewhere)) for one in elsewhere.rglob("*") if one.is_file()}
    objects = ("source", "chunks/chunk_0000.wav", "parts/chunk_0000.json")
    assert left - {"stack.lock", "transcribe.db-wal", "transcribe.db-shm"} == {
        RECORDS, *(f"objects/jobs/{job_id}/{name}" for name in objects)
    }  # fmt: skip
    assert (elsewhere / "objects/jobs" / job_id / "source").read_bytes() == b"sound"
    with read_session() as session:
        assert lifecycle.get_job(session, job_id).run.stage == Stage.LISTEN


def test_only_this_account_can_read_a_backup_and_what_is_restored(backup, elsewhere: Path):
    put(accept_job(), "source")
    file = backup()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    restore(file, elsewhere)
    modes = {(one.is_dir(), stat.S_IMODE(one.stat().st_mode)) for one in elsewhere.rglob("*")}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_folder_has_the_backup_under_a_name_of_its_own(tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()
    result = run("backup", folder)
    assert [str(one) for one in folder.iterdir()] == [result.stdout.strip()]


def test_no_row_changes_while_objects_get_their_second_names(backup, monkeypatch):
    put(accept_job(), "source")
    link, refusals = snapshot._link, []

    def write(source: Path, target: Path) -> None:
        with closing(sqlite3.connect(settings().transcribe_data_dir / RECORDS, timeout=0)) as other:
            try:
                other.execute("DELETE FROM transcripts")
            except sqlite3.OperationalError as error:
                refusals.append(str(error))
        link(source, target)

    monkeypatch.setattr(snapshot, "_link", write)
    backup()
    assert refusals == ["database is locked"]


def test_what_happens_while_it_is_written_is_not_in_it(backup, elsewhere: Path, monkeypatch):
    """A job that is deleted, one that is done again, and a new one."""
    deleted, redone = (put(accept_job(), "source", "transcription.srt") for _ in range(2))
    copy_records, new = snapshot._copy_records, []

    def go_on(source: sqlite3.Connection, target: Path) -> None:
        storage().delete(layout.job_prefix(deleted))
        put(redone, "transcription.srt", content=b"other words")
        with transaction() as session:
            lifecycle.delete_job(session, deleted)
            lifecycle.get_job(session, redone).transcript.warnings = [from_json("done again")]
        new.append(put(accept_job(), "source"))
        copy_records(source, target)

    monkeypatch.setattr(snapshot, "_copy_records", go_on)
    file = backup()
    assert restore(file, elsewhere).exit_code == 0
    for job_id in (deleted, redone):
        assert storage().get_bytes(layout.artefact(job_id, "transcription.srt")) == b"sound"
    with read_session() as session:
        assert lifecycle.get_job(session, redone).transcript.warnings != [from_json("done again")]
        assert lifecycle.get_job(session, deleted).run.stage == Stage.QUEUED
    assert not any(name.split("/")[2] in new for name in members(file) if name.startswith("obj"))


def test_an_object_that_vanishes_just_then_is_left_out(backup, monkeypatch):
    put(accept_job(), "source", "transcription.srt")
    link = snapshot._link

    def link_too_late(source: Path, target: Path) -> None:
        if source.name == "source":
            source.unlink()
        link(source, target)

    monkeypatch.setattr(snapshot, "_link", link_too_late)
    assert {name.rpartition("/")[2] for name in members(backup())} == {
        RECORDS, "transcription.srt", MANIFEST
    }  # fmt: skip


def test_every_backup_has_all_that_its_rows_name_while_many_write(backup, tmp_path: Path):
    is_over, deleting, failures = threading.Event(), set(), []

    def write() -> None:
        """As the service does: an object first, then its row; and the other way to be deleted."""
        try:
            while not is_over.is_set():
                job_id, again = submit(), submit()
                lease_part(job_id)
                storage().put_bytes(layout.chunk_transcription(job_id, 0), b"{}")
                store_part(job_id, 0)
                deleting.add(again)
                storage().delete(layout.job_prefix(again))
                with transaction() as session:
                    lifecycle.delete_job(session, again)
        except Exception as error:  # which the thread that asks must see
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        files = [backup() for _ in range(5)]
    finally:
        is_over.set()
        for writer in writers:
            writer.join()
    assert failures == []
    for file in files:
        content = members(file)
        database = tmp_path / "looked-at.db"
        database.write_bytes(content[RECORDS])
        lacking = named_by(database) - content.keys()
        assert {name.split("/")[2] for name in lacking} <= deleting


def submit() -> str:
    """A job that listens; its recording is there before its row is."""
    job_id = put(str(uuid.uuid4()), "source")
    spec = JobSpec(engine="sphinx", diarizer="classic")
    with transaction() as session:
        lifecycle.accept_job(
            session, job_id, spec, filename="a", audio_bytes=5, audio_sha256="0" * 64
        )
    begin_preparation(job_id)
    finish_preparation(job_id)
    return job_id


def named_by(database: Path) -> set[str]:
    """The members that the rows of a backup name."""
    sources = [layout.source(one) for (one,) in query(database, "SELECT job_id FROM job_runs")]
    stored = query(database, "SELECT job_id, position FROM job_parts WHERE state = 'stored'")
    return {
        f"objects/{key}"
        for key in (*sources, *(layout.chunk_transcription(*one) for one in stored))
    }


def test_what_was_in_hand_is_found_again_from_the_records_alone(
    backup, elsewhere: Path, time_machine: TimeMachine
):
    """By what housekeeping asks when Redis is empty, and when the leases have run out."""
    job_id = put(create_listening_job(chunks=2, shards=0), "source")
    send_parts(job_id)
    lease_part(job_id, 0)
    store_part(job_id, 0)
    lease_part(job_id, 1, owner="somebody of the old service")
    restore(backup(), elsewhere)
    with read_session() as session:
        states = [part.state for part in lifecycle.list_parts(session, job_id, PartKind.CHUNK)]
        assert states == [PartState.STORED, PartState.RUNNING]
        assert [one.job_id for one in recovery.list_unfinished(session)] == [job_id]
    time_machine.forward(settings().lease_seconds + 1)
    assert claim_lost_chunks(job_id) == [(1, True)]


def test_a_backup_replaces_nothing(tmp_path: Path):
    file = tmp_path / "kept.tar"
    file.write_text("mine")
    result = run("backup", file)
    assert (result.exit_code, file.read_text()) == (1, "mine")
    assert "never replaces a file" in result.stderr


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch):
    file = tmp_path / "kept.tar"
    write = archive._write_members

    def be_slow(*args):
        file.write_text("mine")
        return write(*args)

    monkeypatch.setattr(archive, "_write_members", be_slow)
    assert run("backup", file).exit_code == 1
    assert file.read_text() == "mine"
    assert [one for one in tmp_path.iterdir() if "unfinished" in one.name] == []


def test_a_backup_that_is_broken_off_leaves_nothing(tmp_path: Path, monkeypatch):
    put(accept_job(), "source")

    def fill_the_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_add_file", fill_the_disk)
    result = run("backup", tmp_path / "new.tar")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert [one for one in tmp_path.iterdir() if ".tar" in one.name] == []
    assert list((settings().objects_dir / ".unfinished").iterdir()) == []


def test_where_nothing_is_nothing_is_backed_up(tmp_path: Path):
    result = run("backup", tmp_path / "new.tar", "--data-dir", tmp_path / "empty")
    assert result.exit_code == 1
    assert "nothing to back up" in result.stderr
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    "variables",
    [
        {"DATABASE_URL": "postgresql://transcribe@127.0.0.1/transcribe"},
        {"MINIO_ENDPOINT": "minio:9000", "MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "b"},
    ],
)
@pytest.mark.parametrize("words", [["backup", "new.tar"], ["restore", "old.tar"]])
def test_servers_are_backed_up_by_a_script(monkeypatch, variables, words):
    Path("old.tar").touch()
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        settings.cache_clear()
        result = run(*words)
    settings.cache_clear()
    assert result.exit_code == 1
    assert "deploy/backup.sh" in result.stderr
    assert next(iter(variables)) in result.stderr


def test_a_directory_with_something_in_it_is_left_alone(backup, elsewhere: Path):
    file = backup()
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    result = restore(file, elsewhere)
    assert result.exit_code == 1
    assert "is not empty" in result.stderr
    assert [one.name for one in elsewhere.iterdir()] == ["mine"]


def test_a_directory_that_a_service_runs_in_is_left_alone(backup, elsewhere: Path):
    file = backup()
    elsewhere.mkdir()
    with data_directory_lock.acquire_lock(elsewhere):
        result = restore(file, elsewhere)
    assert result.exit_code == 1
    assert "a service runs in" in result.stderr


def test_a_service_that_starts_just_then_keeps_what_it_has(backup, elsewhere: Path, monkeypatch):
    file = backup()
    lock = data_directory_lock.acquire_lock

    def come_too_late(folder: Path):
        (folder / "theirs").touch()
        monkeypatch.undo()
        running.append(lock(folder))
        return lock(folder)

    running: list = []
    monkeypatch.setattr(data_directory_lock, "acquire_lock", come_too_late)
    assert restore(file, elsewhere).exit_code == 1
    assert (elsewhere / "theirs").exists()
    running[0].close()


def test_a_directory_that_is_there_and_empty_is_filled(backup, elsewhere: Path):
    elsewhere.mkdir()
    assert restore(backup(), elsewhere).exit_code == 0
    assert (elsewhere / RECORDS).exists()


def test_records_of_an_older_version_are_brought_up_to_date(backup, elsewhere: Path):
    put(accept_job(), "source")
    command.downgrade(migrate._build_config(), "-1")
    file = backup()
    [(older,)] = query(settings().transcribe_data_dir / RECORDS, "SELECT * FROM alembic_version")
    assert restore(file, elsewhere).exit_code == 0
    [(newest,)] = query(elsewhere / RECORDS, "SELECT * FROM alembic_version")
    assert older < newest
    transactions.engine().dispose()


def test_records_of_a_newer_version_are_named_as_such(tmp_path: Path):
    with closing(sqlite3.connect(settings().transcribe_data_dir / RECORDS)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    result = run("keys", "list")
    assert result.exit_code == 3
    assert "a newer version has changed it" in result.stderr
    assert "9999" in result.stderr
    assert run("backup", tmp_path / "new.tar").exit_code == 0, "older programs can back it up"


def set_in_manifest(**values: object) -> Callable[[dict[str, bytes]], None]:
    def change(content: dict[str, bytes]) -> None:
        content[MANIFEST] = json.dumps(json.loads(content[MANIFEST]) | values).encode()

    return change


@pytest.mark.parametrize("newer", [{"revision": "9999"}, {"format": 2}])
def test_a_backup_of_a_newer_version_is_refused(backup, elsewhere: Path, newer):
    refuse(rewrite(backup(), set_in_manifest(**newer)), elsewhere, "install that version")


@pytest.mark.parametrize("name", ["source", RECORDS])
def test_a_wrong_byte_is_seen_and_nothing_is_restored(backup, elsewhere: Path, name: str):
    put(accept_job(), "source")

    def change(content: dict[str, bytes]) -> None:
        [member] = [one for one in content if one.endswith(name)]
        content[member] = content[member][:-1] + b"!"

    refuse(rewrite(backup(), change), elsewhere, "differs from its checksum")


def test_an_archive_that_is_cut_off_is_refused_wherever_that_is(backup, elsewhere: Path):
    for _ in range(3):
        put(accept_job(), "source", content=os.urandom(2000))
    whole = backup()
    data = whole.read_bytes()
    # What follows the manifest is padding.
    end = data.rindex(b"}") + 1
    for size in (0, 100, *range(512, end, len(data) // 40), end - 1):
        whole.write_bytes(data[:size])
        refuse(whole, elsewhere, "the archive is damaged")


@pytest.mark.parametrize("name", [RECORDS, MANIFEST, "source"])
def test_an_archive_that_lacks_a_member_is_refused(backup, elsewhere: Path, name: str):
    put(accept_job(), "source")

    def change(content: dict[str, bytes]) -> None:
        [member] = [one for one in content if one.endswith(name)]
        del content[member]

    refuse(rewrite(backup(), change), elsewhere, "the archive is damaged")


def test_a_member_that_nobody_has_listed_is_refused(backup, elsewhere: Path):
    added = f"objects/jobs/{accept_job()}/source"
    refuse(rewrite(backup(), lambda content: content.update({added: b"x"})), elsewhere, "listed")


@pytest.mark.parametrize(
    "manifest", [b"", b"{}", b"null", b"\xff", b'{"files": {"a": "b"}}', b"[" * 100_000]
)
def test_a_manifest_that_is_none_is_refused(backup, elsewhere: Path, manifest: bytes):
    file = rewrite(backup(), lambda content: content.update({MANIFEST: manifest}))
    refuse(file, elsewhere, "its manifest cannot be read")


@pytest.mark.parametrize("content", [b"no database", None])
def test_records_that_are_none_are_refused(backup, elsewhere: Path, tmp_path, content):
    """Although the manifest has their hash: whoever changes one can change the other."""
    if content is None:  # of another revision than the manifest says
        database = tmp_path / "other.db"
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE alembic_version AS SELECT '0001' AS version_num")
            connection.commit()
        content = database.read_bytes()

    def change(files: dict[str, bytes]) -> None:
        files[RECORDS] = content
        set_in_manifest(files={RECORDS: hashlib.sha256(content).hexdigest()})(files)

    refuse(rewrite(backup(), change), elsewhere, "the archive is damaged: its database")


ID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd", "../outside", f"objects/jobs/{ID}/../../../outside", "objects/../../outside",
        f"objects/jobs/{ID}/./source", f"objects/jobs/{ID}//source", f"objects/jobs/{ID}/.hidden",
        "objects/jobs/../transcribe.db", "token", "stack.lock", "objects/.unfinished/x", "logs/x",
        f"objects/jobs/{ID}", f"objects/jobs/{ID}/a\\b", f"objects/jobs/{ID}/a\nb",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(backup, elsewhere: Path, name: str):
    """Although it is listed."""

    def change(content: dict[str, bytes]) -> None:
        files = json.loads(content[MANIFEST])["files"]
        content[name] = b"x"
        set_in_manifest(files=files | {name: hashlib.sha256(b"x").hexdigest()})(content)

    refuse(rewrite(backup(), change), elsewhere, "was rejected")
    assert not (elsewhere.parent / "outside").exists()


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE,
     tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.XGLTYPE,
     tarfile.GNUTYPE_LONGNAME, tarfile.AREGTYPE],
)  # fmt: skip
def test_what_is_no_regular_file_is_refused(backup, elsewhere: Path, kind: bytes):
    file = backup()
    header = tarfile.TarInfo(f"objects/jobs/{ID}/source")
    header.type, header.linkname = kind, "/etc/passwd"
    data = file.read_bytes()
    file.write_bytes(header.tobuf(tarfile.USTAR_FORMAT) + data)
    refuse(file, elsewhere, "is not a regular file")


def test_a_size_below_nothing_is_refused(backup, elsewhere: Path):
    file = backup()
    header = tarfile.TarInfo(f"objects/jobs/{ID}/source")
    header.size = -1024
    file.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + file.read_bytes())
    refuse(file, elsewhere, "is not a regular file")


def test_a_size_beyond_the_end_is_refused(backup, elsewhere: Path):
    file = backup()
    header = tarfile.TarInfo(f"objects/jobs/{ID}/source")
    header.size = 10**15
    file.write_bytes(file.read_bytes()[: -20 * 512] + header.tobuf(tarfile.GNU_FORMAT))
    refuse(file, elsewhere, "the archive is damaged")


def test_a_member_that_is_in_it_twice_is_refused(backup, elsewhere: Path):
    file = backup()
    with tarfile.open(file, "a", format=tarfile.GNU_FORMAT) as tar:
        add(tar, tarfile.TarInfo(RECORDS), b"another")
    refuse(file, elsewhere, "twice")


def test_what_is_packed_or_no_archive_is_refused(backup, elsewhere: Path, tmp_path: Path):
    packed = shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path, backup().name)
    refuse(Path(packed), elsewhere, "not a plain .tar")
    letter = tmp_path / "letter"
    letter.write_text("Dear Sir or Madam\n" * 100)
    refuse(letter, elsewhere, "not a plain .tar")


def test_where_there_is_no_room_nothing_is_restored(backup, elsewhere: Path, monkeypatch):
    file = backup()
    monkeypatch.setenv("MIN_FREE_BYTES", str(10**18))
    settings.cache_clear()
    refuse(file, elsewhere, "MIN_FREE_BYTES")
