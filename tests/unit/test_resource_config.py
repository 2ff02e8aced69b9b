"""The resources of a machine, from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.memory.leases import ResourceManager
from core.memory.resource_config import ResourceConfig, read_config


def test_what_a_file_names_takes_precedence_and_the_rest_is_as_it_was(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text('{"max_memory_gb": 0.5, "memory_alert_at": 0.9}')
    assert ResourceManager(str(path)).budget == 512
    assert read_config(path).to_environment() == {"MAX_MEMORY_GB": "0.5", "MEMORY_ALERT_AT": "0.9"}
    assert ResourceConfig().to_environment() == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"max_memory": 4}', "max_memory: is unknown; allowed fields: max_memory_gb, "),
        ('{"max_memory_gb": 0}', "max_memory_gb: Input should be greater than 0"),
        ('{"max_memory_gb": "4"}', "max_memory_gb: Input should be a valid number"),
        ('{"max_concurrent_jobs": 1.5}', "max_concurrent_jobs: Input should be a valid integer"),
        ('{"memory_alert_at": 85}', "memory_alert_at: Input should be less than or equal to 1"),
        ("[1]", "Input should be an object"),
        ("{", "Invalid JSON"),
    ],
)
def test_a_wrong_file_is_refused_by_field(tmp_path: Path, text: str, told: str):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        ResourceManager(path)
    assert str(path) in str(refused.value)
    assert told in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"nowhere\.json cannot be read: No such file"):
        ResourceManager(tmp_path / "nowhere.json")
