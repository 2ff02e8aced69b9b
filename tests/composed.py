"""What the compose files and the Dockerfile say, for the tests that hold them to it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.conftest import ROOT

PRODUCTION, DEVELOPMENT = "docker-compose.yml", "docker-compose.dev.yml"
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")


def read(name: str) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return told


def ours(name: str) -> dict[str, dict[str, Any]]:
    """The services that run our code."""
    return {service: told for service, told in read(name)["services"].items() if "build" in told}


def demanded(name: str) -> set[str]:
    """The variables without which compose does not start."""
    return set(re.findall(r"\$\{(\w+):\?", (ROOT / name).read_text()))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text as compose reads it, with these variables."""

    def value(found: re.Match[str]) -> str:
        name, sign, other = found.groups()
        if name is None:
            return "$"
        if sign == "?" and not values.get(name):
            raise KeyError(f"{name}: {other}")
        return values.get(name) or (other if sign == "-" else "")

    return _VARIABLE.sub(value, text)


@dataclass
class Stage:
    """A stage of the Dockerfile, with what it has from the one that it is made from."""

    user: str = "root"
    command: list[str] = field(default_factory=list)
    health: str = ""
    copied: list[str] = field(default_factory=list)
    from_stages: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: str = ""


def stages() -> dict[str, Stage]:
    """The stages of the Dockerfile by name."""
    found: dict[str, Stage] = {}
    now = Stage()
    for word, rest in _instructions():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            mother = found.get(base, Stage())
            now = found[name] = Stage(
                mother.user, mother.command, mother.health, stop_signal=mother.stop_signal,
                environment=dict(mother.environment),
            )  # fmt: skip
        elif word == "USER":
            now.user = rest
        elif word == "CMD":
            now.command = json.loads(rest)
        elif word == "HEALTHCHECK":
            now.health = rest
        elif word == "STOPSIGNAL":
            now.stop_signal = rest
        elif word == "RUN":
            now.runs.append(rest)
        elif word == "ENV":
            now.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "COPY" and rest.startswith("--from="):
            now.from_stages.append(rest.removeprefix("--from=").split()[0])
        elif word == "COPY":
            now.copied += rest.split()[:-1]
    return found


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]
