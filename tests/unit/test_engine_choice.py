"""`auto` stands for the best engine and the best diarizer that can really work now."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from core.errors import EngineError, InvalidInput
from core.live import worker_registry
from core.settings import settings
from engines import capabilities, catalog
from engines.base import ServerCapabilities
from engines.models.pinned_models import MODELS
from transcribe_api.engine_choice import choose_diarizer, choose_engine
from transcribe_api.http.requests import parsing
from transcribe_api.submission.openai_models import resolve_model

Announce = Callable[..., None]


@pytest.fixture(autouse=True)
def no_default(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("DEFAULT_TRANSCRIPTION_ENGINE")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def announce(redis_server: None) -> Announce:
    """Says what a worker of an engine or a diarizer says of it."""

    def say(name: str, **offer: Any) -> None:
        spec = {**catalog.diarizers(), **catalog.recognizers()}[name]
        if spec.offer:
            worker_registry.publish_capabilities(
                spec.queue, {**asdict(ServerCapabilities(**offer)), "reason": None}
            )
        worker_registry.announce_worker("worker@here", [spec.queue])

    return say


def test_whisper_is_what_every_installation_has():
    assert choose_engine(None).name == "whisper"
    assert choose_diarizer(None) == "classic"


def test_a_worker_of_whisper_is_preferred_to_one_of_sphinx(announce: Announce):
    announce("sphinx")
    assert choose_engine("auto").name == "sphinx", "where no model of Whisper can be loaded"
    announce("whisper")
    assert choose_engine("auto").name == "whisper"


def test_the_diarizer_with_nets_is_preferred_to_the_one_without(announce: Announce):
    announce("classic")
    announce("neural")
    assert choose_diarizer("auto") == "neural"
    announce("pyannote")
    assert choose_diarizer("auto") == "pyannote"


def test_an_engine_may_bring_a_diarizer_of_its_own(announce: Announce):
    announce("neural")
    theirs = replace(catalog.SPHINX, diarizer="classic")
    assert choose_diarizer("auto", theirs) == "classic"
    assert choose_diarizer("neural", theirs) == "neural", "the job named one"
    assert choose_diarizer(None, replace(theirs, diarizer="parrot")) == "neural"


def test_whisperx_is_chosen_only_with_a_gpu(announce: Announce):
    announce("whisper")
    announce("whisperx", by_default=False)
    assert choose_engine(None).name == "whisper"
    announce("whisperx", by_default=True)
    assert choose_engine(None).name == "whisperx"


def test_riva_is_chosen_only_for_a_language_that_its_server_has(announce: Announce):
    announce("whisper")
    announce("asr", models=("parakeet",), languages=("en-US",), by_default=True)
    assert choose_engine(None, language="en-US").name == "asr"
    assert choose_engine(None, language="pt").name == "whisper"
    assert choose_engine(None).name == "whisper", "nobody said what language it is"
    announce("asr", models=("parakeet",), languages=("en-US",), by_default=False)
    assert choose_engine(None, language="en-US").name == "whisper", "nobody set RIVA_URI"


def test_what_a_stack_is_starting_counts_as_there(redis_server: None):
    worker_registry.announce_worker("worker@here", ["asr.sphinx"])
    worker_registry.expect_workers(["asr.whisper"])
    assert choose_engine(None).name == "whisper"
    worker_registry.forget_queues(["asr.whisper"])
    assert choose_engine(None).name == "sphinx"


def test_workers_that_are_about_to_start_are_not_missed(redis_server: None):
    assert not worker_registry.is_served("asr.whisper")
    worker_registry.expect_workers(["asr.whisper"])
    assert worker_registry.is_served("asr.whisper")
    worker_registry.announce_worker("worker@here", ["asr.whisper"])
    worker_registry.withdraw_worker("worker@here", ["asr.whisper"])
    assert not worker_registry.is_served("asr.whisper"), "it was there, and went"
    worker_registry.expect_workers(["asr.whisper"])
    worker_registry.forget_queues(["asr.whisper"])
    assert not worker_registry.is_served("asr.whisper")


def test_workers_that_start_anew_are_not_forgotten(announce: Announce):
    announce("sphinx")
    announce("whisper")
    worker_registry.withdraw_worker("worker@here", ["asr.whisper"])
    assert choose_engine(None).name == "whisper"


def test_a_language_that_an_engine_lacks_passes_it_over(announce: Announce):
    announce("sphinx")
    assert choose_engine(None, language="pt").name == "whisper"
    with pytest.raises(InvalidInput, match="no available engine supports 'ga'"):
        choose_engine(None, language="ga")


def test_a_model_decides_which_engines_there_are(announce: Announce):
    announce("whisper")
    assert choose_engine(None, model="large-v3-turbo").name == "whisper"
    with pytest.raises(InvalidInput, match="'huge' is unknown; allowed: tiny") as refused:
        choose_engine(None, model="huge")
    assert refused.value.field == "model"


def test_a_named_engine_is_taken_as_it_is():
    assert choose_engine("sphinx").name == "sphinx"
    assert choose_diarizer("pyannote") == "pyannote"
    with pytest.raises(InvalidInput, match="engine: 'nope' is unknown"):
        choose_engine("nope")


def test_pyannote_is_chosen_where_a_worker_has_its_pipeline(announce: Announce):
    announce("classic")
    assert choose_diarizer("auto") == "classic"
    announce("pyannote")
    assert choose_diarizer(None) == "pyannote"


def test_auto_is_a_value_of_every_field_that_is_found_out(announce: Announce):
    announce("whisper")
    announce("classic")
    spec = parsing.parse_job({"engine": "auto", "diarizer": "auto", "language": "auto"})
    assert (spec.engine, spec.diarizer, spec.language) == ("whisper", "classic", None)
    spec = parsing.parse_job({"engine": "sphinx", "language": "auto"})
    assert spec.language == "en-US", "an engine that finds no language has a usual one"


def test_a_model_of_english_alone_knows_no_other_language():
    with pytest.raises(InvalidInput, match=r"with the model tiny\.en does not support 'pt'"):
        parsing.parse_job({"engine": "whisper", "model": "tiny.en", "language": "pt"})
    assert parsing.parse_job({"engine": "whisper", "model": "tiny.en", "language": "en-GB"})


def test_models_of_openai_and_names_of_whispers_mean_the_best_engine(announce: Announce):
    announce("whisper")
    assert resolve_model("whisper-1") == (None, None)
    engine, model = resolve_model("base")
    assert choose_engine(engine, model=model).name == "whisper"


def test_a_prompt_has_its_limit():
    assert parsing.parse_job({"initial_prompt": " Dr. Okonkwo "}).initial_prompt == "Dr. Okonkwo"
    with pytest.raises(InvalidInput, match="at most 4000 characters") as refused:
        parsing.parse_job({"initial_prompt": "x" * 4001})
    assert refused.value.field == "initial_prompt"


class TestOffers:
    """What a worker says of an engine that needs a model."""

    @pytest.fixture(autouse=True)
    def nowhere_else(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("MODEL_DIR", str(tmp_path / "models"))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        settings.cache_clear()
        capabilities._ask_hub.cache_clear()

    def test_without_a_model_it_can_do_nothing(self):
        with pytest.raises(EngineError, match=r"base is not on this machine.*models pull base"):
            capabilities.whisper()

    def test_a_model_that_is_not_whole_is_none(self, tmp_path: Path):
        (tmp_path / "models" / "base").mkdir(parents=True)
        with pytest.raises(EngineError, match=r"has no model\.bin"):
            capabilities.whisper()

    def test_with_its_model_it_says_which_there_are(self, tmp_path: Path):
        folder = tmp_path / "models" / "base"
        folder.mkdir(parents=True)
        (folder / "model.bin").write_bytes(b"weights")
        for name in ("config.json", "tokenizer.json"):
            (folder / name).write_text(json.dumps({}))
        assert capabilities.whisper() == ServerCapabilities(models_here=("base",))
        assert capabilities.whisperx().by_default is capabilities.has_gpu()

    def test_a_hub_that_answers_is_as_good_as_a_model(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
            Thread(target=server.handle_request, daemon=True).start()
            assert capabilities.whisper() == ServerCapabilities(models_here=())
        assert capabilities.whisper() == ServerCapabilities(models_here=()), (
            "it was asked a moment ago"
        )
        capabilities._ask_hub.cache_clear()
        with pytest.raises(EngineError, match="the hub cannot be reached"):
            capabilities.whisper()

    def test_neural_needs_both_of_its_nets(self, tmp_path: Path):
        for name in capabilities.NEURAL_MODELS:
            with pytest.raises(EngineError, match=r"models pull segmentation-3\.0 campplus-zh-en"):
                capabilities.neural()
            for file, known in MODELS[name].files.items():
                path = tmp_path / "models" / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as sparse:
                    sparse.truncate(known.size)
        assert capabilities.neural() == ServerCapabilities()

    def test_a_pipeline_that_is_nowhere_is_never_chosen(self):
        with pytest.raises(EngineError, match="set HF_TOKEN, or set PYANNOTE_MODEL"):
            capabilities.pyannote()
