"""What goes wrong: each fault is a function that does it and undoes what does not pass by itself.

They are dealt like cards: every deck holds each fault once, in an order of its own, and every seed
takes the next `HAND` cards. So a seed alone has the same faults as among others, and the faults of
seeds 1 to n are dealt as evenly as can be.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from signal import SIGINT, SIGKILL, SIGTERM

import psutil
import redis

from tests.faults.field import LEASE, Field
from tests.faults.fleet import EARS, WORKERS
from tests.faults.proxy import Mood

Fault = Callable[[Field, Random], None]

#: Faults of a seed, one job pair each.
HAND = 2

FAULTS: dict[str, Fault] = {}
#: Those of them that tell processes to end.
STOPS: dict[str, Fault] = {}

#: Messages of one part that stay unacknowledged because its worker or its broker was killed; None:
#: the fault itself makes them many.
_LEFT = {
    "a pool process is killed": 0,
    "messages come twice and in another order": None,
}


def left_behind(fault: str) -> int | None:
    """How many messages of one part a fault may leave in the broker, beside those that work."""
    return 0 if fault in STOPS else _LEFT.get(fault, 1)


def _fault(function: Fault) -> Fault:
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


def dealt(seed: int) -> list[str]:
    """The names of the faults of a seed, 1 or more."""
    cards = list(FAULTS)
    first = (seed - 1) * HAND
    return [_card(cards, number) for number in range(first, first + HAND)]


def lacking(field: Field, fault: str) -> str | None:
    """Why this machine cannot have this fault."""
    if FAULTS[fault] is the_disk_is_full and not field.disk.can_be_filled:
        return "only root may mount a disk that can be filled"
    if FAULTS[fault] is the_clock_is_set and not field.clock.can_be_set:
        return "there is no C compiler for the library that sets the clock of a process"
    return None


def _card(cards: list[str], number: int) -> str:
    deck, place = divmod(number, len(cards))
    return Random(f"deck {deck}").sample(cards, len(cards))[place]


@_fault
def a_pool_process_is_killed(field: Field, random: Random) -> None:
    """SIGKILL for one process of a worker's pool, as the kernel does when memory runs out."""
    if children := field.fleet.children(*EARS, "prepare"):
        with suppress(psutil.NoSuchProcess):
            random.choice(children).send_signal(SIGKILL)


@_fault
def a_worker_is_killed(field: Field, random: Random) -> None:
    """SIGKILL for a worker with its pool, and a new one a moment later."""
    name = random.choice(WORKERS)
    field.fleet.kill(name)
    time.sleep(random.uniform(0, LEASE))
    field.fleet.start(name)


@_fault
def the_main_process_of_a_worker_is_killed(field: Field, random: Random) -> None:
    """SIGKILL for a worker's main process alone: its pool is orphaned in the middle of its work."""
    field.fleet.kill_main(random.choice((*EARS, "prepare")))


@_fault
def all_workers_are_killed(field: Field, random: Random) -> None:
    """SIGKILL for every worker at once, as when their machine loses its power."""
    field.fleet.kill(*WORKERS)
    time.sleep(random.uniform(0, LEASE))
    field.fleet.start(*WORKERS)


@_fault
def everything_of_ours_is_killed(field: Field, random: Random) -> None:
    """SIGKILL for workers, beat and the service at once."""
    names = (*WORKERS, "beat", "api")
    field.fleet.kill(*names)
    field.fleet.start(*names)


def _stop(name: str) -> Callable[[Fault], Fault]:
    """A fault of which nothing may be left in the broker: processes that are told to end."""

    def register(function: Fault) -> Fault:
        FAULTS[name] = STOPS[name] = function
        return function

    return register


@_stop("a worker is stopped by SIGTERM")
def a_worker_is_stopped(field: Field, random: Random) -> None:
    """As supervisors do it, and a new one when it has ended."""
    _restart(field, [random.choice(EARS)], SIGTERM)


@_stop("a worker is stopped by Ctrl-C")
def a_worker_is_interrupted(field: Field, random: Random) -> None:
    """SIGINT, as at a terminal, and a new one when it has ended."""
    _restart(field, [random.choice(EARS)], SIGINT)


@_stop("a worker is stopped by Ctrl-C twice")
def a_worker_is_interrupted_twice(field: Field, random: Random) -> None:
    """The second SIGINT ends it at once."""
    _restart(field, [random.choice(EARS)], SIGINT, times=2)


@_stop("the stack is stopped by SIGTERM")
def the_stack_is_stopped(field: Field, random: Random) -> None:
    """Workers, beat and the service together, and all of them anew when the last has ended."""
    _restart(field, [*WORKERS, "beat", "api"], SIGTERM)


@_stop("the stack is stopped by Ctrl-C")
def the_stack_is_interrupted(field: Field, random: Random) -> None:
    """The same with SIGINT."""
    _restart(field, [*WORKERS, "beat", "api"], SIGINT)


@_stop("all workers are restarted in turn")
def all_workers_are_restarted_in_turn(field: Field, random: Random) -> None:
    """A rolling restart: each has ended and serves again before the next is told."""
    for name in random.sample(WORKERS, len(WORKERS)):
        _restart(field, [name], SIGTERM)
        field.fleet.wait_until_ready()


@_stop("all workers are restarted in turn twice")
def all_workers_are_restarted_in_turn_twice(field: Field, random: Random) -> None:
    """A rolling restart, and then another one."""
    for _ in range(2):
        all_workers_are_restarted_in_turn(field, random)


def _restart(field: Field, names: Sequence[str], signal: int, times: int = 1) -> None:
    field.fleet.stop(*names, signal=signal, times=times)
    field.fleet.start(*names)


@_fault
def beat_is_killed(field: Field, random: Random) -> None:
    """SIGKILL for beat, and for a worker that only beat's housekeeping can make good."""
    field.fleet.kill("beat")
    a_worker_is_killed(field, random)
    field.fleet.start("beat")


@_fault
def the_service_is_killed(field: Field, random: Random) -> None:
    """SIGKILL for the REST service, also in the middle of a submission."""
    field.fleet.kill("api")
    time.sleep(random.uniform(0, 1))
    field.fleet.start("api")


@_fault
def a_worker_stands_still(field: Field, random: Random) -> None:
    """SIGSTOP for longer than a lease, then SIGCONT: what it had was given to others meanwhile."""
    with field.fleet.stopped(random.choice(WORKERS)):
        time.sleep(random.uniform(1.2, 2) * LEASE)


@_fault
def redis_is_restarted(field: Field, random: Random) -> None:
    """SIGKILL for Redis, which then starts with what it had written down."""
    field.redis.kill()
    time.sleep(random.uniform(0, 3))
    field.redis.start()


@_fault
def redis_is_restarted_empty(field: Field, random: Random) -> None:
    """SIGKILL for Redis, and its disk is lost."""
    field.redis.kill()
    field.redis.forget()
    time.sleep(random.uniform(0, 3))
    field.redis.start()


@_fault
def redis_is_flushed(field: Field, random: Random) -> None:
    """FLUSHALL: nobody's connection breaks, and everything is gone."""
    field.memory.flushall()


@_fault
def postgresql_is_restarted(field: Field, random: Random) -> None:
    """An immediate shutdown, as after a power cut, and a start a moment later."""
    field.postgres.kill()
    time.sleep(random.uniform(0, 3))
    field.postgres.start()


@_fault
def storage_answers_with_errors(field: Field, random: Random) -> None:
    """500 and 503 for two of three requests, or a closed connection for each."""
    mood = random.choice((Mood.ERRORS, Mood.GONE))
    with field.store.feeling(mood, one_of=1):
        time.sleep(random.uniform(1, 4))


@_fault
def storage_is_slow(field: Field, random: Random) -> None:
    """Answers that take up to two seconds, or that never come."""
    with field.store.feeling(random.choice((Mood.SLOW, Mood.HANGING)), one_of=2):
        time.sleep(random.uniform(2, 5))


@_fault
def storage_answers_break_off(field: Field, random: Random) -> None:
    """Bodies that end in the middle."""
    with field.store.feeling(Mood.SHORT, one_of=2):
        time.sleep(random.uniform(2, 4))


@_fault
def storage_answers_are_corrupt(field: Field, random: Random) -> None:
    """Bodies with a wrong byte."""
    with field.store.feeling(Mood.CORRUPT, one_of=2):
        time.sleep(random.uniform(2, 4))


@_fault
def the_disk_is_full(field: Field, random: Random) -> None:
    """No byte is left where uploads and unpacked recordings are kept."""
    with field.disk.full():
        time.sleep(random.uniform(2, 5))


@_fault
def messages_come_twice_and_in_another_order(field: Field, random: Random) -> None:
    """What waits in the queues, and what is in hand, is there three times and shuffled."""
    memory = field.memory
    with suppress(redis.WatchError):
        for queue in _queues(memory):
            messages = memory.lrange(queue, 0, -1) * 3
            random.shuffle(messages)
            memory.pipeline().delete(queue).rpush(queue, *messages).execute()
    for told in memory.hvals("unacked"):
        message, _exchange, queue = json.loads(told)
        memory.rpush(queue, json.dumps(message))


@_fault
def messages_are_lost(field: Field, random: Random) -> None:
    """Everything that waits in the queues is gone, while Redis and all else live on."""
    memory = field.memory
    for queue in _queues(memory):
        memory.delete(queue)


@_fault
def the_clock_is_set(field: Field, random: Random) -> None:
    """The clock of the service's machine jumps minutes ahead or back, and right again."""
    minutes = random.choice((-1, 1)) * random.randint(1, 10)
    field.clock.set(60 * minutes)
    time.sleep(random.uniform(1, 4))
    field.clock.set(0)


def _queues(memory: redis.Redis) -> Iterator[str]:
    """Those in which something waits: lists that do not belong to the library."""
    for key in memory.scan_iter("*"):
        if memory.type(key) == "list":
            yield str(key)
