"""The compose files, the Dockerfile and the package belong together, and to the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from core.settings import Settings
from engines import catalog
from tasks import queues
from tests import composed
from tests.composed import DEVELOPMENT, PRODUCTION
from tests.conftest import ROOT
from transcribe_api.stack.supervisor import Stack

FILES = (PRODUCTION, DEVELOPMENT)
SETTINGS = {name.upper() for name in Settings.model_fields}
#: What the programs of others, or Python, are told by the environment.
NOT_OURS = {"PYTHONPATH"}


def ports(name: str) -> list[str]:
    given = {"PUBLISH": "", "PUBLISH_FLOWER": ""}
    return [
        composed.filled(port, given)
        for service in composed.read(name)["services"].values()
        for port in service.get("ports", ())
    ]


def test_the_configuration_of_each_proxy_leads_to_the_service():
    for file in ("nginx.conf", "Caddyfile", "traefik-service.yml"):
        text = (ROOT / "deploy" / file).read_text()
        assert "127.0.0.1:8000" in text, file
        assert "transcribe.example.com" in text, file
    for file in ("traefik.yml", "traefik-service.yml"):
        assert yaml.safe_load((ROOT / "deploy" / file).read_text())


def queues_of(command: list[str]) -> set[str]:
    return set(command[command.index("-Q") + 1].split(",")) if "-Q" in command else set()


@pytest.mark.parametrize("name", FILES)
def test_a_compose_file_has_the_form_that_compose_asks_for(name: str):
    pytest.importorskip("check_jsonschema", reason="check-jsonschema carries the form; make setup")
    form = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(composed.read(name), json.loads(form.read_text()))


@pytest.mark.parametrize("name", FILES)
def test_every_image_of_ours_is_a_stage_and_every_setting_exists(name: str):
    for service, told in composed.ours(name).items():
        assert told["build"]["target"] in composed.stages(), service
        assert set(told["environment"]) <= SETTINGS | NOT_OURS, service
        assert told.get("command") or composed.stages()[told["build"]["target"]].command, service


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_waited_for_can_come(name: str):
    services = composed.read(name)["services"]
    for service, told in services.items():
        for needed, how in told.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{service} waits for {needed}"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert services[needed].get("restart", "no") in ("no", "on-failure")


@pytest.mark.parametrize("name", FILES)
def test_what_can_be_scaled_has_no_name_and_no_port(name: str):
    for service, told in composed.ours(name).items():
        assert "container_name" not in told
        assert not (service.startswith("worker") and "ports" in told)


@pytest.mark.parametrize("name", FILES)
def test_the_service_answers_to_the_name_by_which_other_containers_ask_for_it(name: str):
    assert composed.ours(name)["api"]["hostname"] == "api"


@pytest.mark.parametrize("name", FILES)
def test_ports_are_those_of_this_machine_alone(name: str):
    assert [port for port in ports(name) if not port.startswith("127.0.0.1:")] == []


def test_every_queue_is_watched_by_some_service():
    watched = {
        queue for told in composed.ours(PRODUCTION).values()
        for queue in queues_of(told.get("command", []))
    }  # fmt: skip
    known = [*catalog.recognizers().values(), *catalog.diarizers().values()]
    steps = {queues.CONTROL, queues.PREPARE, queues.MERGE, queues.DELIVER}
    assert watched == steps | {spec.queue for spec in known}


def test_what_is_not_there_by_itself_is_not_started_by_itself():
    """Engines that need an extra, a GPU or a server have profiles; the rest is what `up` starts."""
    for service, told in composed.ours(PRODUCTION).items():
        is_extra = told["build"]["target"] not in ("base", "api", "worker")
        assert is_extra == ("profiles" in told), service


def test_production_has_no_password_of_its_own():
    services = composed.read(PRODUCTION)["services"].values()
    for told in services:
        for name, value in told.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|ACCESS_KEY|AUTH$", name) and name != "AUTH":
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


def test_make_env_gives_what_production_asks_for_and_keeps_what_is_there(tmp_path: Path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\nREDIS_PASSWORD=mine\n")
    for _ in range(2):
        subprocess.run(["make", "-s", "env"], cwd=tmp_path, check=True, capture_output=True)
    lines = (tmp_path / ".env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines)
    assert len(lines) == len(given)
    assert set(given) == composed.demanded(PRODUCTION) | {"LOG_LEVEL"}
    assert given["REDIS_PASSWORD"] == "mine"
    assert len(given["POSTGRES_PASSWORD"]) >= 32
    for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "FLOWER_BASIC_AUTH"):
        Settings(**{name.lower(): given[name]})
    assert composed.demanded(DEVELOPMENT) == set()


def test_an_image_serves_as_the_embedded_stack_does():
    components = {one.name: one for one in Stack(port=1)._list_components()}
    embedded, image = components["api"].command, composed.stages()["api"].command
    for option in ("--worker-class", "--threads", "--worker-connections", "--timeout",
                   "--logger-class"):  # fmt: skip
        assert image[image.index(option) + 1] == embedded[embedded.index(option) + 1], option


def test_no_final_image_runs_as_root_or_can_compile():
    stages = composed.stages()
    for name in {told["build"]["target"] for told in composed.ours(PRODUCTION).values()}:
        stage = stages[name]
        assert stage.user.split(":")[0].isdecimal(), name
        assert int(stage.user.split(":")[0]) > 0, name
        assert stage.stop_signal == "SIGTERM", name
        assert stage.health, name
        assert not any("apt-get" in run or "pip" in run for run in stage.runs), name


def test_what_is_copied_into_images_is_there():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for stage in composed.stages().values():
        assert set(stage.from_stages) <= set(composed.stages())
        for path in stage.copied:
            assert path == "." or (ROOT / path).exists(), path
            assert path == "." or f"!{path}" in ignored, path


def test_images_and_packages_are_made_of_the_same():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    parts = set(told["targets"]["wheel"]["only-include"])
    assert parts <= kept
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} - parts == {
        "tests", "bench",
    }  # fmt: skip
