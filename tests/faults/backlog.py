"""What waits in the broker, looked at all the time: sending again must never make messages many.

By job, kind and position, whatever sent it and when, there is at most one message for each part;
one more if the part was sent ahead, one more while it is in hand, and one more for each time that
its worker or its broker was killed, since nobody acknowledges what the dead had in hand.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import redis
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tasks.messages import AHEAD_HEADER
from tests.faults.field import Field

#: Seconds between two looks.
EVERY = 0.1
#: The queues of parts, and the lists that the broker keeps of each.
QUEUES = ("asr.echo", "diarize.echo")
LISTS = [f"{queue}:{priority}" if priority else queue for queue in QUEUES for priority in range(10)]

#: A job, a step and its arguments.
Part = tuple[str, str, str]


@dataclass(frozen=True)
class Sample:
    """One look; `at` is of the monotonic clock."""

    at: float
    #: Parts that are neither stored nor failed.
    missing: int
    #: Of parts: those that wait, and those that nobody has acknowledged.
    messages: int
    #: For that part which has most.
    most: int


class Backlog:
    """Looks at the queues for as long as its block lasts.

    *spare*: messages of one part that the dead may leave; None: any number of them.
    """

    def __init__(self, field: Field, spare: int | None = 0) -> None:
        self._field = field
        self._spare = spare
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self.samples: list[Sample] = []
        self._worst: dict[Part, str] = {}

    def __enter__(self) -> Backlog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    @property
    def problems(self) -> list[str]:
        """A sentence for each part that had too many messages at a time."""
        return list(self._worst.values())

    def _look_on(self) -> None:
        while not self._is_over.wait(EVERY):
            try:
                self._look()
            except (redis.RedisError, SQLAlchemyError):
                continue  # the fault may have struck who is asked

    def _look(self) -> None:
        waiting, held = self._messages()
        counts = Counter({part: len(found) for part, found in waiting.items()})
        counts.update({part: len(found) for part, found in held.items()})
        self._judge(counts, waiting, held)
        self.samples.append(
            Sample(
                at=time.monotonic(),
                missing=self._count_missing(),
                messages=counts.total(),
                most=max(counts.values(), default=0),
            )
        )

    def _judge(
        self,
        counts: Counter[Part],
        waiting: dict[Part, list[bool]],
        held: dict[Part, list[bool]],
    ) -> None:
        if self._spare is None:
            return
        for part, count in counts.items():
            ahead = any((*waiting[part], *held[part]))
            allowed = 1 + ahead + bool(held[part]) + self._spare
            if count > allowed:
                self._worst[part] = f"{count} messages, {len(held[part])} in hand, for {part}"

    def _messages(self) -> tuple[dict[Part, list[bool]], dict[Part, list[bool]]]:
        """Those that wait and those that are held, each with whether it was sent ahead."""
        pipe = self._field.memory.pipeline(transaction=True)
        for name in LISTS:
            pipe.lrange(name, 0, -1)
        *lists, held = pipe.hvals("unacked").execute()
        in_hand = (json.loads(one)[0] for one in held)
        return _by_part(json.loads(one) for found in lists for one in found), _by_part(in_hand)

    def _count_missing(self) -> int:
        query = "SELECT count(*) FROM job_parts WHERE state NOT IN ('stored', 'failed')"
        with self._field.records.connect() as connection:
            return int(connection.scalar(text(query)) or 0)


def _by_part(messages: Iterator[dict]) -> dict[Part, list[bool]]:
    found: defaultdict[Part, list[bool]] = defaultdict(list)
    for message in messages:
        headers = message["headers"]
        if headers["task"] in ("transcribe_chunk", "diarize"):
            part = headers["job_id"], headers["task"], headers["argsrepr"]
            found[part].append(AHEAD_HEADER in headers)
    return found
