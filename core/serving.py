"""Which queues have a living worker: each worker says so with every beat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import redis

from core import clock
from core.progress import client

#: Seconds after which a worker that said nothing counts as gone.
GONE_AFTER = 20.0
#: Seconds for which a queue that was served, or is about to be, is expected to be served again: a
#: job that is sent while its workers start anew is meant for them.
EXPECTED_FOR = 600
#: Seconds within which a worker that was started takes messages.
STARTS_WITHIN = 60


def announce(worker: str, queues: Iterable[str]) -> None:
    """Say that the worker is alive and takes from these queues. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.zadd(_key(queue), {worker: clock.now() + GONE_AFTER})
        pipe.zremrangebyscore(_key(queue), "-inf", clock.now())
        pipe.set(_expected_key(queue), "1", ex=EXPECTED_FOR)
        pipe.delete(_starting_key(queue))
    pipe.execute()


def expect(queues: Iterable[str]) -> None:
    """Say that workers for these queues are about to start. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.set(_expected_key(queue), "1", ex=EXPECTED_FOR)
        pipe.set(_starting_key(queue), "1", ex=STARTS_WITHIN)
    pipe.execute()


def forget(queues: Iterable[str]) -> None:
    """Say that nobody can serve these queues, for a reason. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.delete(_expected_key(queue), _starting_key(queue))
    pipe.execute()


def withdraw(worker: str, queues: Iterable[str]) -> None:
    """Say that the worker takes no more from these queues. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.zrem(_key(queue), worker)
    pipe.execute()


def workers(queue: str) -> int:
    """How many living workers take from the queue; 0 also when Redis does not answer."""
    try:
        return int(client().zcount(_key(queue), clock.now(), "+inf"))
    except redis.RedisError:
        return 0


def is_served(queue: str) -> bool:
    """Whether a worker takes from the queue, or a stack that starts is about to have one.

    False also when Redis does not answer.
    """
    try:
        return workers(queue) > 0 or bool(client().exists(_starting_key(queue)))
    except redis.RedisError:
        return False


def is_expected(queue: str) -> bool:
    """Whether a worker takes from the queue, did so lately, or is about to.

    False also when Redis does not answer.
    """
    try:
        return bool(client().exists(_expected_key(queue))) or workers(queue) > 0
    except redis.RedisError:
        return False


def describe(queue: str, told: Mapping[str, Any]) -> None:
    """Say what an engine's server has right now. Raises `redis.RedisError`."""
    client().set(_offer_key(queue), json.dumps(told), px=int(GONE_AFTER * 1000))


def described(queue: str) -> dict[str, Any]:
    """What was last said of the engine; empty when nothing was, or not lately."""
    try:
        told = client().get(_offer_key(queue))
    except redis.RedisError:
        return {}
    return json.loads(str(told)) if told else {}


def _key(queue: str) -> str:
    return f"transcribe:serving:{queue}"


def _starting_key(queue: str) -> str:
    return f"transcribe:starting:{queue}"


def _expected_key(queue: str) -> str:
    return f"transcribe:expected:{queue}"


def _offer_key(queue: str) -> str:
    return f"transcribe:offer:{queue}"
