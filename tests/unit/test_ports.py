"""Ports that cannot be listened on: a sentence that names the option and what is allowed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.factories.commands import parse_findings, run_command
from transcribe_api.stack import ports
from transcribe_api.stack.stack_error import StackError

HERE = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody has."""
    with socket.socket() as listening:
        listening.bind((HERE, 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("option", ["--port", "--flower-port"])
@pytest.mark.parametrize("port", ["99999", "65536", "-1", "abc"])
def test_what_is_no_port_is_wrong_usage(option: str, port: str):
    done = run_command("up", option, port)
    assert (done.exit_code, "Traceback" in done.output) == (2, False)
    assert option in done.output
    assert "0<=x<=65535" in done.output or "not a valid integer" in done.output


def test_a_taken_port(taken: int):
    with pytest.raises(StackError, match=rf"{HERE}:{taken} cannot be used .*--flower-port"):
        ports.refuse_unusable(HERE, taken, "--flower-port")
    line = parse_findings(run_command("doctor", "--port", str(taken)).output)["port"]
    assert line.startswith("WARNING")
    assert "choose another with --port" in line


def test_a_free_port():
    port = ports.find_free(HERE)
    assert ports.find_obstacle(HERE, port) is None
    assert parse_findings(run_command("doctor", "--port", str(port)).output)["port"].endswith(
        "is free"
    )


@pytest.mark.parametrize("port", [-1, 70_000])
def test_a_program_may_name_no_other_either(port: int):
    assert "1 to 65535" in str(ports.find_obstacle(HERE, port))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_of_this_machine(host: str):
    assert "--host" in str(ports.find_obstacle(host, 8000))
