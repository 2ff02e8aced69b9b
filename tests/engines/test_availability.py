"""An engine is there while a worker of it lives, however that ends; the service loads none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engines import catalog
from tests.engines import tiny
from tests.engines.riva_server import riva
from tests.engines.whisper_models import write_models
from tests.engines.workers import available, loaded, worker
from tests.integration.conftest import RunningStack, command_of, started, wait_until

pytestmark = pytest.mark.processes

#: On the machine of the service no engine is installed, so its stack starts no workers for them.
WITHOUT = """import sys
for name in ("pocketsphinx", "whisperx", "riva"):
    sys.modules[name] = None
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    without = tmp_path_factory.mktemp("without")
    (without / "sitecustomize.py").write_text(WITHOUT)
    with started(tmp_path_factory.mktemp("stack"), PYTHONPATH=str(without)) as service:
        yield service


@pytest.mark.parametrize(
    "engine",
    [
        "sphinx",
        pytest.param("whisperx", marks=tiny.needs("whisperx", "whisperx")),
        pytest.param("asr", marks=tiny.needs("riva.client", "riva")),
    ],
)
def test_an_engine_is_there_before_during_and_after_a_worker(
    stack: RunningStack, engine: str, tmp_path: Path
):
    queue, settings = catalog.recognizer(engine).queue, {}
    with ExitStack() as server:
        if engine == "whisperx":  # which is there when its model is
            settings["MODEL_DIR"] = str(write_models(tmp_path))
            settings["WHISPERX_DEFAULT_MODEL"] = "digits"
        if engine == "asr":
            settings["RIVA_URI"] = server.enter_context(riva()).uri
        assert not available(stack, engine)
        with worker(stack, queue, **settings):
            wait_until(lambda: available(stack, engine))
        assert not available(stack, engine), "a worker that ends says so"

        with worker(stack, queue, **settings) as process:
            wait_until(lambda: available(stack, engine))
            process.kill()
            wait_until(lambda: not available(stack, engine))


def test_the_service_loads_no_engine(stack: RunningStack):
    services = [one for one in stack.processes() if "gunicorn" in " ".join(command_of(one))]
    assert services
    assert [loaded(one) for one in services] == [set()] * len(services)
