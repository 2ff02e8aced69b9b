"""Which processes the embedded stack is made of."""

from __future__ import annotations

import pytest

from core.settings import settings
from engines.catalog import DiarizerSpec, EngineSpec
from transcribe_api.stack.supervisor import Component, Stack


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Component]:
    """Those of a machine with six cores, where everything is installed."""
    for spec in (EngineSpec, DiarizerSpec):
        monkeypatch.setattr(spec, "is_installed", lambda _: True)
    return {part.name: part for part in Stack(port=1, workers=6)._list_components()}


def processes(part: Component) -> int:
    return int(part.command[part.command.index("-c") + 1])


def test_an_engine_of_one_core_has_a_process_for_each(parts):
    assert processes(parts["asr.sphinx"]) == processes(parts["asr.asr"]) == 6
    assert "OMP_NUM_THREADS" not in parts["asr.sphinx"].environment


def test_an_engine_that_fills_the_machine_is_loaded_once(parts):
    assert processes(parts["asr.whisperx"]) == 1
    assert parts["asr.whisperx"].environment["OMP_NUM_THREADS"] == "6"


def test_who_names_a_number_of_threads_is_heard(monkeypatch, request):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    parts = request.getfixturevalue("parts")
    assert parts["asr.whisperx"].environment["OMP_NUM_THREADS"] == "2"


def test_one_on_another_machine_is_asked_by_several(monkeypatch, request):
    monkeypatch.setenv("WHISPERX_SERVICE_URL", "http://gpu:8000")
    settings.cache_clear()
    assert processes(request.getfixturevalue("parts")["asr.whisperx"]) == 6
