"""Keys are shown once, found by their hash, and end when they are revoked or their time is over."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from core import clock
from core.access import keys
from core.access.keys import Scope
from core.db.models import ApiKeyRow
from core.db.transactions import read_session, transaction
from core.errors import InvalidInput, NotFound
from core.settings import settings
from transcribe_api.cli.command import main

pytestmark = pytest.mark.usefixtures("database")


def made(name: str = "app", *scopes: Scope, **more) -> tuple[ApiKeyRow, str]:
    with transaction() as session:
        return keys.create_key(session, name, scopes or [Scope.WRITE], **more)


def found(key: str) -> ApiKeyRow | None:
    with read_session() as session:
        return keys.verify_key(session, key)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["keys", *words])


def test_a_key_finds_its_row_and_stands_nowhere():
    row, key = made()
    assert re.fullmatch(r"tk_[0-9a-f]{10}_[\w-]{43}", key)
    assert found(key).id == row.id
    secret = key.removeprefix(row.prefix)
    with read_session() as session:
        [kept] = session.execute(text("SELECT * FROM api_keys")).all()
    assert [value for value in kept if secret[1:9] in str(value)] == []


@pytest.mark.parametrize("change", [str.upper, lambda key: key[:-1], lambda key: key + "a"])
def test_what_is_almost_a_key_finds_nothing(change):
    _, key = made()
    assert found(change(key)) is None


def test_another_secret_behind_a_known_prefix_finds_nothing():
    row, _ = made()
    _, other = made()
    assert found(row.prefix + other[len(row.prefix) :]) is None


@pytest.mark.parametrize("text", ["", "tk_", "Ω" * 60, "tk_0123456789_" + "a" * 43])
def test_no_key_finds_nothing(text: str):
    assert found(text) is None


def test_a_revoked_key_and_one_whose_time_is_over_open_nothing():
    row, key = made()
    with transaction() as session:
        keys.revoke_key(session, row.prefix)
        first = keys.get_key(session, str(row.id)).revoked_at
        assert keys.revoke_key(session, str(row.id)).revoked_at == first, "revoked once"
    assert found(key) is None
    _, late = made(expires_at=clock.utc_now() - timedelta(seconds=1))
    assert found(late) is None
    _, early = made(expires_at=clock.utc_now() + timedelta(hours=1))
    assert found(early) is not None


def test_a_service_without_a_key_that_opens_it_has_none():
    def is_there() -> bool:
        with read_session() as session:
            return keys.has_active_key(session)

    assert not is_there()
    row, _ = made()
    assert is_there()
    with transaction() as session:
        keys.revoke_key(session, row.prefix)
    assert not is_there()


def test_a_key_owns_itself_or_takes_the_place_of_an_older_one():
    old, _ = made("old")
    assert old.owner_id == old.id
    new, _ = made("new", same_owner_as=old.prefix)
    assert new.owner_id == old.id
    newest, _ = made("newest", same_owner_as=str(new.id))
    assert newest.owner_id == old.id
    with pytest.raises(NotFound):
        made("lost", same_owner_as=str(uuid.uuid4()))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_key_has_a_name_that_can_be_shown(name: str):
    with pytest.raises(InvalidInput):
        made(name)


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ([], set()),
        (["read"], {"read"}),
        (["write"], {"read", "write"}),
        (["read", "admin"], {"read", "write", "admin"}),
    ],
)
def test_each_scope_allows_what_stands_before_it(given: list[str], allowed: set[str]):
    assert keys.expand_scopes(given) == allowed


def test_use_is_noted_once_a_minute():
    row, _ = made()
    assert keys.is_use_stale(row)
    with transaction() as session:
        keys.record_use(session, row.id)
    with transaction() as session:
        row = keys.get_key(session, row.prefix)
        assert not keys.is_use_stale(row)
        row.last_used_at = clock.utc_now() - timedelta(seconds=keys.USE_INTERVAL_SECONDS + 1)
        assert keys.is_use_stale(row)


def test_the_command_line_prints_the_key_alone_and_tells_the_rest_beside_it():
    done = run("create", "my app", "--scope", "admin", "--expires-in", "90d", "--per-minute", "5")
    assert done.exit_code == 0, done.output
    row = found(done.stdout.strip())
    assert (row.name, row.scopes, row.per_minute) == ("my app", ["admin"], 5)
    left = clock.to_utc(row.expires_at) - clock.utc_now()
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert row.prefix in done.stderr
    assert done.stdout.strip() not in done.stderr


def test_the_command_line_rotates_lists_and_revokes():
    old = found(run("create", "old").stdout.strip())
    assert old.scopes == ["read", "write"]
    new = found(run("create", "new", "--same-owner-as", old.prefix).stdout.strip())
    assert new.owner_id == old.owner_id
    assert run("revoke", old.prefix).exit_code == 0
    listed = json.loads(run("list", "--json").stdout)
    assert [(one["name"], one["state"]) for one in listed] == [
        ("new", "active"),
        ("old", "revoked"),
    ]
    table = run("list").stdout.splitlines()
    assert [line.split()[:2] for line in table[1:]] == [
        [new.prefix, "active"],
        [old.prefix, "revoked"],
    ]


def test_a_database_that_is_down_is_said_so(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere/at/all.db")
    settings.cache_clear()
    done = run("list")
    assert done.exit_code == 3
    assert done.stderr == "transcribe: the database does not answer\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["revoke", "tk_0000000000"], 1, "tk_0000000000"),
        (["create", " "], 1, "name"),
        (["create", "x", "--same-owner-as", "y"], 1, "y"),
        (["create", "x", "--scope", "all"], 2, "admin"),
        (["create", "x", "--expires-in", "soon"], 2, "90d"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(words: list[str], code: int, told: str):
    done = run(*words)
    assert done.exit_code == code
    assert told in done.stderr
    assert done.stdout == ""
