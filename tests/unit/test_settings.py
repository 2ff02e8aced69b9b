"""Settings are read once, typed, and wrong ones are named."""

import sys
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Settings, settings


def test_nothing_has_to_be_set(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DEFAULT_TRANSCRIPTION_ENGINE")
    now = settings()
    assert (now.default_transcription_engine, now.default_diarizer) == ("auto", "auto")
    assert now.riva_uri is None
    assert now.database == f"sqlite:///{data_dir}/transcribe.db"
    assert now.redis == f"unix://{data_dir}/redis.sock"
    assert now.broker == f"redis+socket://{data_dir}/redis.sock?virtual_host=0"
    assert now.max_file_size == 2 * 1024**3


def test_a_deep_data_directory_gets_a_socket_that_the_kernel_accepts(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSCRIBE_DATA_DIR", str(tmp_path / ("d" * 120)))
    socket = settings().redis_socket
    assert len(str(socket)) < 104
    settings.cache_clear()
    assert settings().redis_socket == socket, "every process must find the same one"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("REDIS_JOB_TTL", "soon", "integer"),
        ("CHUNK_DURATION", "2", "greater than or equal to 5"),
        ("VAD_AGGRESSIVENESS", "7", "less than or equal to 3"),
        ("REDIS_URL", "http://here", "redis://, rediss://, unix://"),
        ("DATABASE_URL", "mysql://here", "postgresql://"),
        ("FAILED_CHUNKS", "maybe", "'gap' or 'fail'"),
        ("LOG_LEVEL", "LOUD", "'DEBUG'"),
    ],
)
def test_a_wrong_value_names_the_variable_and_says_what_is_allowed(
    monkeypatch, name, value, allowed
):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        settings()
    assert name in str(caught.value)
    assert allowed in str(caught.value)
    holds_a_password = name.endswith("_URL")
    assert (value in str(caught.value)) is not holds_a_password


def test_half_of_the_storage_settings_is_an_error(monkeypatch):
    monkeypatch.setenv("MINIO_ENDPOINT", "minio:9000")
    with pytest.raises(SettingsError, match="MINIO_ACCESS_KEY and MINIO_SECRET_KEY must be set"):
        settings()


@pytest.mark.parametrize("name", ["MINIO_SECRET_KEY", "HF_TOKEN"])
def test_secrets_are_not_printed(monkeypatch, name):
    monkeypatch.setenv(name, "very-secret")
    assert "very-secret" not in repr(settings())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgresql_means_the_driver_that_is_shipped(monkeypatch, scheme):
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://u:p@db/x")
    assert settings().database == "postgresql+psycopg2://u:p@db/x"


@pytest.mark.parametrize("name", ["MODEL_DIR", "WHISPERX_MODEL_DIR"])
def test_the_folder_of_models_has_an_old_name_as_well(monkeypatch, tmp_path: Path, name: str):
    monkeypatch.setenv(name, str(tmp_path))
    assert settings().model_dir == tmp_path
    assert name in Settings.variables()


def test_models_lie_in_the_virtual_environment_whatever_the_data_directory(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    (tmp_path / "venv").mkdir()
    inside = tmp_path / "venv" / "share" / "chordscribe" / "models"
    assert Settings(transcribe_data_dir=tmp_path / "scratch").model_dir == inside


def test_models_lie_beside_the_usual_data_where_the_environment_is_not_ours(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert Settings().model_dir == tmp_path / "home" / "transcribe" / "models"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "removed"))  # where nothing can be written
    assert Settings().model_dir == tmp_path / "home" / "transcribe" / "models"


def test_lists_are_split_at_commas(monkeypatch):
    monkeypatch.setenv("WHISPERX_AVAILABLE_MODELS", "tiny, base,")
    assert settings().whisperx_available_models == ("tiny", "base")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_HOSTS", "https://a.example"),
        ("ALLOWED_HOSTS", "a.example:8000"),
        ("ALLOWED_HOSTS", "*.a.example"),
        ("PUBLIC_URL", "transcribe.example"),
        ("PUBLIC_URL", "https://transcribe.example/path"),
        ("PUBLIC_URL", "https://me:secret@transcribe.example"),
        ("PUBLIC_URL", "javascript:alert(1)"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example, null"),
        ("TRUSTED_PROXIES", "proxy.example"),
    ],
)
def test_what_is_no_name_or_origin_is_named_at_the_start(monkeypatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(SettingsError, match=name):
        settings()
