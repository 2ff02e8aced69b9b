"""What is told to an engine, and what an engine on a server of its own tells of itself."""

from __future__ import annotations

import sys
import uuid
from subprocess import Popen

import psutil
import pytest

from core.access import user_resources
from core.db.models import ContextRow
from core.db.transactions import transaction
from core.errors import InvalidInput, Unavailable
from core.jobs import lifecycle
from core.live import worker_registry
from core.storage import layout, storage
from engines import catalog
from engines.base import Hints, ServerCapabilities
from tasks.celery import app
from tasks.steps import loaded_engines
from tasks.worker import engine_health
from tasks.worker.engine_health import HealthChecks
from tests.factories.steps import create_english_job, run_step
from tests.unit.sounds import piece
from transcribe_api.http.requests import parsing
from transcripts.types import Transcription

TERMS = [{"phrase": "metformin", "boost": 20.0}, {"phrase": "Addison's", "boost": 5.5}]
TOLD = {"models": ["big", "small"], "languages": ["de-DE", "en-US"], "reason": None}


class Engine:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.hints: list[Hints] = []

    def transcribe(self, audio, hints: Hints) -> Transcription:
        self.hints.append(hints)
        return Transcription(())


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    app.loader.import_default_modules()
    ours = Engine()
    monkeypatch.setattr(loaded_engines, "load_recognizer", lambda *_: ours)
    monkeypatch.setattr(layout, "chunk_audio", lambda *_: "audio")
    storage().put_bytes("audio", piece())
    return ours


def with_context(owner: uuid.UUID | None, theirs: uuid.UUID | None) -> str:
    """A job of *owner* whose context belongs to somebody."""
    job_id = create_english_job(chunks=1, shards=0)
    with transaction() as session:
        context = user_resources.create_row(
            session, ContextRow, name="x", owner_id=theirs, terms=TERMS
        )
        transcript = lifecycle.get_job(session, job_id).transcript
        transcript.owner_id, transcript.context_id = owner, context.id
    return job_id


@pytest.mark.usefixtures("database")
class TestContext:
    """The terms of a job's context."""

    @pytest.mark.parametrize("owner", [None, uuid.uuid4()])
    def test_an_engine_is_told_the_terms(self, engine: Engine, owner):
        run_step("transcribe_chunk", with_context(owner, owner), 0)
        assert [hints.phrases for hints in engine.hints] == [{"metformin": 20.0, "Addison's": 5.5}]

    @pytest.mark.parametrize(
        ("owner", "theirs"),
        [(uuid.uuid4(), uuid.uuid4()), (None, uuid.uuid4()), (uuid.uuid4(), None)],
    )
    def test_the_terms_of_others_stay_theirs(self, engine: Engine, owner, theirs):
        run_step("transcribe_chunk", with_context(owner, theirs), 0)
        assert [hints.phrases for hints in engine.hints] == [{}]

    def test_a_context_that_is_gone_says_nothing(self, engine: Engine):
        job_id = create_english_job(chunks=1, shards=0)
        with transaction() as session:
            lifecycle.get_job(session, job_id).transcript.context_id = uuid.uuid4()
        run_step("transcribe_chunk", job_id, 0)
        assert [hints.phrases for hints in engine.hints] == [{}]


class TestOffer:
    """Models and languages, as the worker of an engine told them."""

    @pytest.fixture
    def told(self, monkeypatch: pytest.MonkeyPatch) -> dict:
        said = dict(TOLD)
        monkeypatch.setattr(
            worker_registry, "read_capabilities", lambda queue: said if queue == "asr.asr" else {}
        )
        monkeypatch.setattr(worker_registry, "count_workers", lambda _queue: 1)
        return said

    def test_a_job_may_ask_for_what_there_is(self, told):
        spec = parsing.parse_job({"language": "de", "model": "small"}, "asr")
        assert (spec.language, spec.model) == ("de", "small")

    def test_a_job_that_asks_for_nothing_gets_the_usual_language(self, told):
        assert parsing.parse_job({}, "asr").language == "de-DE"

    @pytest.mark.parametrize(
        ("form", "allowed"), [({"language": "fr"}, "de-DE, en-US"), ({"model": "x"}, "big, small")]
    )
    def test_a_job_that_asks_for_more_is_refused(self, told, form, allowed):
        with pytest.raises(InvalidInput, match=allowed):
            parsing.parse_job(form, "asr")

    def test_an_engine_that_finds_out_the_language_is_asked_for_any(self, told):
        told["languages"] = None
        assert parsing.parse_job({"language": "fr"}, "asr").language == "fr"

    def test_while_nothing_is_known_the_worker_will_say(self, told):
        told.clear()
        assert parsing.parse_job({"language": "fr"}, "asr").language == "fr"

    def test_only_engines_that_depend_on_more_than_their_library_are_asked(self):
        assert HealthChecks("w", ["asr.sphinx", "asr.asr", "merge"]).queues == {"asr.asr"}
        assert HealthChecks("w", ["asr.sphinx"]).queues == set()

    def test_a_checkup_is_no_process_that_works(self):
        code = "import time; time.sleep(60)"
        with (
            Popen([sys.executable, "-c", code, "tasks.worker.engine_health"]) as one,
            Popen([sys.executable, "-c", code]) as other,
        ):
            try:
                found = [
                    engine_health.is_health_check(psutil.Process(child.pid))
                    for child in (one, other)
                ]
            finally:
                one.kill()
                other.kill()
        assert found == [True, False]

    def test_a_queue_is_announced_only_while_the_engine_has_something(self, monkeypatch):
        said: list[tuple] = []
        for name in ("announce_worker", "withdraw_worker", "publish_capabilities", "forget_queues"):
            monkeypatch.setattr(
                worker_registry, name, lambda *it, name=name: said.append((name, *it))
            )

        def gone(_spec):
            raise Unavailable("it is loading")

        monkeypatch.setattr(catalog, "query_capabilities", gone)
        assert engine_health._check_engine(catalog.RIVA, "w") == "it is loading"
        assert said == [
            ("publish_capabilities", "asr.asr", {"reason": "it is loading"}),
            ("withdraw_worker", "w", ["asr.asr"]),
            ("forget_queues", ["asr.asr"]),
        ]
        said.clear()
        monkeypatch.setattr(
            catalog, "query_capabilities", lambda _spec: ServerCapabilities(("big",), ("de-DE",))
        )
        assert engine_health._check_engine(catalog.RIVA, "w") is None
        told = {
            "models": ("big",), "languages": ("de-DE",), "by_default": True, "models_here": None,
            "reason": None,
        }  # fmt: skip
        assert said == [
            ("publish_capabilities", "asr.asr", told),
            ("announce_worker", "w", ["asr.asr"]),
        ]
