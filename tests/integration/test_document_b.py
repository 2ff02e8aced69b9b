"""The second document of the service, held to its word: its examples as written.

They import its modules by the names that it gives them; where these live here, `HOMES` says. What
stands between two examples of the document, such as an import that it leaves out, is said where
they are run.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import EngineError
from engines import catalog
from tests import receiver
from tests.integration.conftest import (
    RunningStack,
    clean_environment,
    wait_until,
    write_sample,
)
from transcribe_api.client import Client
from transcribe_api.orchestrator import (
    DiarizationOrchestrator,
    FinishedJob,
    OrchestratorConfig,
    ResourceManager,
)

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]

#: The document's module: where its names live.
HOMES = {
    "diarization_orchestrator": "transcribe_api.orchestrator",
    "resource_manager": "transcribe_api.orchestrator",
    "audio_chunker": "chunking.cut",
    "whisper_processor": "engines.whisper_processor",
    "speaker_diarizer": "engines.speaker_diarizer",
}

SIMPLE = """\
from diarization_orchestrator import DiarizationOrchestrator, OrchestratorConfig

# Configurar orquestrador
config = OrchestratorConfig(
    max_concurrent_jobs=2,
    chunk_duration=30.0,
    chunk_overlap=5.0,
    whisper_model="large-v3"
)

# Processar arquivo
with DiarizationOrchestrator(config) as orchestrator:
    job_id = orchestrator.process_file(
        "caminho/para/video.mp4",
        "caminho/para/saida"
    )
    
    # Aguardar conclusão
    while True:
        status = orchestrator.get_job_status(job_id)
        if status["status"] in ["completed", "failed"]:
            break
        time.sleep(5)
"""  # noqa: W293
CONCURRENT = """\
# Submeter múltiplos arquivos
audio_files = ["video1.mp4", "video2.mp4", "video3.mp4"]
job_ids = []

for audio_file in audio_files:
    job_id = orchestrator.process_file(audio_file, f"output_{job_id}")
    job_ids.append(job_id)

# Monitorar todos os jobs
for job_id in job_ids:
    status = orchestrator.get_job_status(job_id)
    print(f"Job {job_id}: {status['status']}")
"""
PRIORITIES = """\
from resource_manager import JobPriority

# Jobs com diferentes prioridades
orchestrator.submit_job("urgente.mp4", "output_urgente", JobPriority.HIGH)
orchestrator.submit_job("normal.mp4", "output_normal", JobPriority.NORMAL)
orchestrator.submit_job("baixa.mp4", "output_baixa", JobPriority.LOW)
"""
CONFIG = """\
config = OrchestratorConfig(
    max_concurrent_jobs=2,      # Jobs simultâneos
    max_memory_gb=28.0,         # Limite de memória
    chunk_duration=30.0,        # Duração do chunk (segundos)
    chunk_overlap=5.0,          # Overlap entre chunks
    whisper_model="large-v3",   # Modelo Whisper
    max_speakers=8,             # Máximo de speakers
    enable_recovery=True,       # Recovery automático
    enable_monitoring=True,     # Monitoramento
    log_interval=30             # Intervalo de log (segundos)
)
"""
FASTEST = """\
config = OrchestratorConfig(
    max_concurrent_jobs=4,
    chunk_duration=60.0,  # Chunks maiores
    chunk_overlap=2.0,    # Menos overlap
    whisper_model="base"  # Modelo menor
)
"""
BEST = """\
config = OrchestratorConfig(
    max_concurrent_jobs=1,
    chunk_duration=15.0,  # Chunks menores
    chunk_overlap=8.0,    # Mais overlap
    whisper_model="large-v3"  # Modelo maior
)
"""
RESOURCES = """\
from resource_manager import ResourceManager

rm = ResourceManager("config.json")  # Arquivo de configuração personalizado
"""
LOGS = """\
import structlog

logger = structlog.get_logger()
logger.info("Processamento iniciado", 
           job_id=job_id, 
           file_path=file_path,
           estimated_duration="2h")
"""  # noqa: W291
DEBUG = """\
import logging
logging.basicConfig(level=logging.DEBUG)

# Ou configurar structlog para debug
structlog.configure(
    processors=[structlog.processors.JSONRenderer()],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
"""
CHUNKER = """\
from audio_chunker import ChunkingConfig, AudioChunker

config = ChunkingConfig(
    chunk_duration=30.0,
    overlap_duration=5.0,
    min_silence_duration=0.5,
    silence_threshold=-40.0,
    vad_aggressiveness=2
)
chunker = AudioChunker(config)
"""
WHISPER = """\
from whisper_processor import WhisperConfig, WhisperProcessor

config = WhisperConfig(
    model_name="large-v3",
    temperature=0.0,
    batch_size=4,
    max_retries=3,
    device="cpu"
)
processor = WhisperProcessor(config)
"""
DIARIZER = """\
from speaker_diarizer import DiarizationConfig, SpeakerDiarizer

config = DiarizationConfig(
    max_speakers=8,
    min_speaker_duration=1.0,
    confidence_threshold=0.5,
    device="cpu"
)
diarizer = SpeakerDiarizer(config)
"""
SYSTEM = """\
# Obter status completo
status = orchestrator.get_system_status()

print(f"Jobs ativos: {status['active_jobs']}")
print(f"Jobs completados: {status['completed_jobs']}")
print(f"Memória usada: {status['resource_manager']['memory']['used_gb']:.2f}GB")
print(f"CPU: {status['resource_manager']['cpu']['percent']:.1f}%")
"""
STATISTICS = """\
# Estatísticas do orquestrador
stats = orchestrator.get_system_status()["orchestrator_stats"]
print(f"Tempo médio: {stats['average_processing_time']:.2f}s")
print(f"Pico de memória: {stats['peak_memory_usage']:.2f}GB")
print(f"Taxa de sucesso: {stats['successful_jobs']/stats['total_jobs_processed']*100:.1f}%")
"""
REST = """\
from flask import Flask, request, jsonify
from diarization_orchestrator import DiarizationOrchestrator

app = Flask(__name__)
orchestrator = DiarizationOrchestrator()

@app.route('/process', methods=['POST'])
def process_video():
    data = request.json
    file_path = data['file_path']
    output_dir = data['output_dir']
    
    job_id = orchestrator.process_file(file_path, output_dir)
    return jsonify({'job_id': job_id})

@app.route('/status/<job_id>')
def get_status(job_id):
    status = orchestrator.get_job_status(job_id)
    return jsonify(status)

if __name__ == '__main__':
    app.run(debug=True)
"""  # noqa: W293
WEBHOOK = """\
def job_completed_callback(job):
    # Enviar notificação
    import requests
    requests.post('https://api.exemplo.com/webhook', json={
        'job_id': job.job_id,
        'status': job.status,
        'completed_at': job.completed_at
    })

orchestrator.add_job_completion_callback(job_completed_callback)
"""

TREE = {
    "chunks/chunk_0000.wav",
    "chunks/chunks_metadata.json",
    "whisper_results.json",
    "diarization_results.json",
    "final_transcription.json",
    "transcription.srt",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples are run: the files that they name lie there."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "caminho" / "para").mkdir(parents=True)
    short = write_sample(folder / "caminho" / "para" / "video.mp4", seconds=8)
    for name in ("video1", "video2", "video3", "urgente", "normal", "baixa"):
        (folder / f"{name}.mp4").write_bytes(short.read_bytes())
    return folder


@pytest.fixture(autouse=True)
def _as_the_document_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name, home in HOMES.items():
        monkeypatch.setitem(sys.modules, name, importlib.import_module(home))


@pytest.fixture(scope="module")
def orchestrator(folder: Path) -> Iterator[DiarizationOrchestrator]:
    config = OrchestratorConfig(chunk_duration=30.0, chunk_overlap=5.0)
    with DiarizationOrchestrator(config) as running:
        yield running


def run(example: str, **known: object) -> dict[str, object]:
    """Run an example; *known* are the names that the examples before it have left."""
    names: dict[str, object] = {"__name__": "example", "OrchestratorConfig": OrchestratorConfig}
    names |= known
    exec(example, names)
    return names


def files_in(folder: Path) -> set[str]:
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def of_stacks_in(folder: Path) -> list[psutil.Process]:
    """Every process of a stack whose data directory lies somewhere in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get("TRANSCRIBE_STACK", "")
        except (psutil.Error, OSError):
            continue
        if mark.startswith(f"{folder.resolve()}/"):
            found.append(process)
    return found


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def given_limits(process: psutil.Process) -> tuple[str, str] | None:
    """The limits in a process's environment; None of one that has ended or has none."""
    try:
        given = process.environ()
        return given["MAX_MEMORY_GB"], given["MAX_CONCURRENT_JOBS"]
    except (psutil.Error, OSError, KeyError):
        return None


def script(folder: Path, text: str) -> list[str | Path]:
    """A program of its own, which finds the document's modules beside it."""
    for name, home in HOMES.items():
        (folder / f"{name}.py").write_text(f"from {home} import *\n")
    (folder / "example.py").write_text(text)
    return [sys.executable, folder / "example.py"]


def test_a_recording_is_processed_and_nothing_is_left_behind(folder: Path, tmp_path: Path):
    subprocess.run(
        script(tmp_path, f"import time\n{SIMPLE}"),
        cwd=folder, env=clean_environment(TMPDIR=str(tmp_path)), check=True,
    )  # fmt: skip
    out = folder / "caminho" / "para" / "saida"
    assert files_in(out) >= TREE
    final = json.loads((out / "final_transcription.json").read_text())
    assert final["file_path"] == "video.mp4"
    assert set(final) == {"file_path", "total_duration", "speakers", "segments"}
    assert set(final["segments"][0]) == {
        "speaker_id", "start_time", "end_time", "text", "confidence",
    }  # fmt: skip
    assert of_stacks_in(tmp_path) == []
    assert list(tmp_path.glob("transcribe-*")) == []


def test_nothing_is_left_behind_after_an_exception():
    before = children()
    started: set[psutil.Process] = set()
    orchestrator = DiarizationOrchestrator()

    def fail_on_the_way() -> None:
        with orchestrator:
            orchestrator.process_file("video1.mp4", "never")
            started.update(children() - before)
            raise RuntimeError("of ours")

    with pytest.raises(RuntimeError, match="of ours"):
        fail_on_the_way()
    assert len(started) > 5, "the service, workers and a Redis"
    assert [one for one in started if one.is_running()] == []
    assert not Path("never").exists()
    with pytest.raises(RuntimeError, match="closed"):
        orchestrator.get_system_status()


def test_a_stack_ends_with_the_program_that_was_killed(tmp_path: Path):
    text = """
import time
from transcribe_api.orchestrator import DiarizationOrchestrator
with DiarizationOrchestrator():
    print("here", flush=True)
    time.sleep(600)
"""
    program = subprocess.Popen(
        script(tmp_path, text), env=clean_environment(TMPDIR=str(tmp_path)), stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"here\n"
    assert of_stacks_in(tmp_path)
    os.kill(program.pid, signal.SIGKILL)
    program.communicate()
    wait_until(lambda: not of_stacks_in(tmp_path))


def test_several_at_once(orchestrator: DiarizationOrchestrator, capsys: pytest.CaptureFixture[str]):
    # The example goes on from the one before it, which has left a job.
    job_ids = run(CONCURRENT, orchestrator=orchestrator, job_id="first")["job_ids"]
    assert isinstance(job_ids, list)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert orchestrator.wait(timeout=300)
    told = [orchestrator.get_job_status(job_id) for job_id in job_ids]
    assert [one["status"] for one in told] == ["completed"] * 3
    assert files_in(Path("output_first")) >= TREE
    assert files_in(Path(f"output_{job_ids[0]}")) >= TREE


def test_some_are_more_urgent(orchestrator: DiarizationOrchestrator):
    run(PRIORITIES, orchestrator=orchestrator)
    assert orchestrator.wait(timeout=300)
    priorities = {
        job["filename"]: job["priority"]
        for job in orchestrator._ensure_started().client.jobs()["jobs"]
        if job["filename"] in ("urgente.mp4", "normal.mp4", "baixa.mp4")
    }
    assert priorities == {"urgente.mp4": "high", "normal.mp4": "normal", "baixa.mp4": "low"}
    assert files_in(Path("output_urgente")) >= TREE


def test_how_the_system_does(
    orchestrator: DiarizationOrchestrator, capsys: pytest.CaptureFixture[str]
):
    orchestrator.process_file("video1.mp4", "out")
    assert orchestrator.wait(timeout=300)
    run(SYSTEM, orchestrator=orchestrator)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "Jobs ativos: 0"
    assert int(told[1].removeprefix("Jobs completados: ")) >= 1
    run(STATISTICS, orchestrator=orchestrator)
    assert capsys.readouterr().out.splitlines()[-1] == "Taxa de sucesso: 100.0%"


def test_a_callback_is_called_once_a_job(orchestrator: DiarizationOrchestrator):
    pytest.importorskip("requests")
    with receiver.listening() as server:
        run(WEBHOOK.replace("https://api.exemplo.com", server.url), orchestrator=orchestrator)
        job_ids = [orchestrator.process_file("video1.mp4", f"out{at}") for at in range(2)]
        assert orchestrator.wait(timeout=300)
        orchestrator._callbacks.clear()
        told = [json.loads(request.body) for request in server.requests]
    assert sorted(one["job_id"] for one in told) == sorted(job_ids)
    for one in told:
        status = orchestrator.get_job_status(one["job_id"])
        assert one == {
            "job_id": one["job_id"], "status": "completed", "completed_at": status["completed_at"],
        }  # fmt: skip


def test_a_callback_that_fails_keeps_nothing_from_being_done(
    orchestrator: DiarizationOrchestrator, folder: Path
):
    heard: list[FinishedJob] = []

    def fail(job: FinishedJob) -> None:
        raise RuntimeError("of ours")

    (folder / "taken").write_text("no folder can be made here")
    orchestrator.add_job_completion_callback(fail)
    orchestrator.add_job_completion_callback(heard.append)
    job_id = orchestrator.process_file("video1.mp4", "taken")
    assert orchestrator.wait(timeout=300)
    orchestrator._callbacks.clear()
    [job] = heard
    assert (job.job_id, job.status, job.file_path) == (job_id, "failed", "video1.mp4")
    assert "could not be written" in str(job.error)
    assert orchestrator.get_job_status(job_id)["status"] == "failed"


@pytest.mark.parametrize("example", [CONFIG, FASTEST, BEST], ids=["whole", "fastest", "best"])
def test_every_configuration_is_one(example: str):
    from core.settings import Settings

    config = run(example)["config"]
    assert isinstance(config, OrchestratorConfig)
    known = {name.upper() for name in Settings.model_fields}
    wanted = {name: value for name, value in config.settings().items() if name in known}
    assert Settings(**{name.lower(): value for name, value in wanted.items()})
    assert wanted["CHUNK_DURATION"] == str(config.chunk_duration)


def test_a_file_says_what_of_the_machine_may_be_used(folder: Path):
    (folder / "config.json").write_text('{"max_memory_gb": 1.5, "max_concurrent_jobs": 1}')
    manager = run(RESOURCES)["rm"]
    assert isinstance(manager, ResourceManager)
    assert manager.budget == 1.5 * 1024
    before = children()
    with DiarizationOrchestrator(resources=manager):
        found = [given_limits(one) for one in children() - before]
    assert ("1.5", "1") in found, "the stack's"
    assert set(found) <= {("1.5", "1"), None}


def test_its_lines_for_the_log_and_for_looking_closer_run(tmp_path: Path):
    before = "import structlog\njob_id, file_path = '7', 'video.mp4'\n"
    program = script(tmp_path, f"{before}{DEBUG}{LOGS}")
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert '"job_id": "7"' in done.stderr


def test_the_chunker_is_the_one_of_the_steps():
    chunker = run(CHUNKER)["chunker"]
    assert isinstance(chunker, importlib.import_module("chunking.cut").AudioChunker)


def test_the_processor_needs_whisperx_and_says_so():
    if catalog.WHISPERX.is_installed():
        assert run(WHISPER)["processor"]
        return
    with pytest.raises(EngineError, match="pip install"):
        run(WHISPER)


def test_the_diarizer_works(tmp_path: Path):
    diarizer = run(DIARIZER)["diarizer"]
    found = diarizer.diarize(write_sample(tmp_path / "shard.wav", seconds=20))  # type: ignore[attr-defined]
    assert found.turns


def test_a_service_of_ones_own_is_written_in_a_few_lines():
    before = children()
    names = run(REST)
    app, orchestrator = names["app"], names["orchestrator"]
    assert isinstance(orchestrator, DiarizationOrchestrator)
    try:
        browser = app.test_client()  # type: ignore[attr-defined]
        sent = {"file_path": "video1.mp4", "output_dir": "output_rest"}
        job_id = browser.post("/process", json=sent).json["job_id"]
        started = children() - before
        assert orchestrator.wait(timeout=300)
        told = browser.get(f"/status/{job_id}").json
        assert (told["status"], told["progress"]) == ("completed", 100)
        assert files_in(Path("output_rest")) >= TREE
    finally:
        orchestrator.close()
    assert started
    assert [one for one in started if one.is_running()] == []


def test_unfinished_jobs_of_a_kept_directory_are_gone_on_with(tmp_path: Path):
    heard: list[FinishedJob] = []
    data_dir = tmp_path / "kept"
    with DiarizationOrchestrator(data_dir=data_dir) as first:
        job_id = first.process_file("video2.mp4", tmp_path / "out")
    second = DiarizationOrchestrator(data_dir=data_dir)
    second.add_job_completion_callback(heard.append)
    with second:
        assert second.wait(timeout=300)
    assert [(job.job_id, job.status) for job in heard] == [(job_id, "completed")]
    assert files_in(tmp_path / "out") >= TREE


def test_a_running_service_is_used_and_left_alone(stack: RunningStack, tmp_path: Path):
    with DiarizationOrchestrator(url=stack.url) as orchestrator:
        job_id = orchestrator.process_file("video3.mp4", tmp_path / "out")
        assert orchestrator.wait(timeout=300)
        assert orchestrator.get_job_status(job_id)["status"] == "completed"
    assert files_in(tmp_path / "out") >= TREE
    with Client(stack.url) as client:
        assert client.status(job_id)["status"] == "completed"


def test_a_stack_that_does_not_come_up_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from transcribe_api.python.embedded import StartError

    monkeypatch.setenv("VAD_AGGRESSIVENESS", "7")
    with pytest.raises(StartError, match="VAD_AGGRESSIVENESS"):
        DiarizationOrchestrator(data_dir=tmp_path).__enter__()
