"""An office in memory: the ledger's twin, a queue with its own clock, channels that remember."""

from __future__ import annotations

import heapq
import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from notify import route
from notify.config import Config
from notify.deliver import Delivery, DeliveryError, Desk
from notify.errors import NotForUsError, UnrecognisedError
from notify.gather import Gatherer
from notify.notice import Notice
from notify.parcel import DEFERRED, Parcel
from notify.recognise import recognise
from notify.route import Channel
from notify.workflow import Office, tell
from tests.unit.notify.runs import Pipeline
from tests.unit.trellis.memory_table import MemoryTable
from trellis.errors import LedgerError
from trellis.ledger import Ledger

START = datetime(2026, 11, 24, 9, 5, tzinfo=UTC)


class Recorder:
    """A channel that remembers what it was sent, and fails as its script says."""

    def __init__(
        self,
        channel: Channel = Channel.EMAIL,
        *,
        knows_repeats: bool = False,
        script: list[Exception | None] | None = None,
    ) -> None:
        self.channel = channel
        self.knows_repeats = knows_repeats
        self.script = script or []
        self.sent: list[Notice] = []
        self.deliveries: list[Delivery] = []
        self._lock = threading.Lock()

    def send(self, notice: Notice, delivery: Delivery) -> str:
        with self._lock:
            self.deliveries.append(delivery)
            outcome = self.script.pop(0) if self.script else None
            if outcome is not None:
                raise outcome
            self.sent.append(notice)
            return f"{self.channel.value}-{len(self.sent)}"

    @property
    def headlines(self) -> list[str]:
        return [notice.headline for notice in self.sent]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class WorkQueue:
    """SQS as notify meets it: at least once, in any order, with delays."""

    def __init__(self, clock: Clock, seed: int = 0) -> None:
        self._clock = clock
        self._random = random.Random(seed)
        self._waiting: list[tuple[float, int, Parcel]] = []
        self._count = itertools.count()
        self._lock = threading.Lock()
        self.in_hand = 0
        self.dead: list[Parcel] = []

    def put(self, event: Mapping[str, Any], delay: float = 0.0) -> None:
        body = json.dumps(event)
        self._push(Parcel(content=json.loads(body), message_id="m", body=body), delay)

    def defer(self, content: Mapping[str, Any], seconds: int, reason: str) -> None:
        self.put({**content, DEFERRED: reason}, seconds)

    def take(self, most: int) -> list[Parcel]:
        """A batch of what is due, shuffled; when nothing is due, time passes to what is next."""
        with self._lock:
            if not self._waiting:
                return []
            due_at = self._clock.seconds()
            if self._waiting[0][0] > due_at and self.in_hand == 0:
                self._clock.pass_(self._waiting[0][0] - due_at)
                due_at = self._clock.seconds()
            due = []
            while self._waiting and self._waiting[0][0] <= due_at:
                due.append(heapq.heappop(self._waiting)[2])
            self._random.shuffle(due)
            for parcel in due[most:]:
                heapq.heappush(self._waiting, (due_at, next(self._count), parcel))
            self.in_hand += len(due[:most])
            return due[:most]

    def done(self, parcel: Parcel) -> None:
        with self._lock:
            self.in_hand -= 1

    def failed(self, parcel: Parcel, delay: float, most: int = 20) -> None:
        with self._lock:
            self.in_hand -= 1
        again = Parcel(
            content=parcel.content, message_id="m", body=parcel.body, received=parcel.received + 1
        )
        if again.received > most:
            self.dead.append(parcel)
        else:
            self._push(again, delay)

    def is_empty(self) -> bool:
        with self._lock:
            return not self._waiting and self.in_hand == 0

    def _push(self, parcel: Parcel, delay: float) -> None:
        with self._lock:
            due = self._clock.seconds() + delay
            heapq.heappush(self._waiting, (due, next(self._count), parcel))


@dataclass
class Bureau:
    """Two workers' worth of offices around one ledger and one queue."""

    senders: list[Any] = field(default_factory=lambda: [Recorder()])
    pipeline: Any = field(default_factory=Pipeline)
    table: MemoryTable = field(default_factory=MemoryTable)
    clock: Clock = field(default_factory=Clock)
    seed: int = 0
    routes: str = ""
    unanswered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.clock, self.seed)
        self.errors: list[BaseException] = []

    def office(self, owner: str = "worker", *, with_queue: bool = True) -> Office:
        return Office(
            config=Config(topic_arn="arn", ledger_table="ledger"),
            rules=route.parse(self.routes),
            gatherer=Gatherer(
                lambda service: self.pipeline,
                lambda question, error: self.unanswered.append(question),
                self.clock.seconds,
            ),
            senders=self.senders,
            queue=self.queue if with_queue else None,
            desk=Desk(
                ledger=Ledger(self.table),
                owner=owner,
                now=self.clock.now,
                sleep=self.clock.pass_,
                deadline=self.clock.now() + timedelta(seconds=60),
            ),
        )

    def tell(self, event: Mapping[str, Any], *, with_queue: bool = True) -> None:
        """One event, handed to one worker."""
        parcel = Parcel(content=event)
        tell(recognise(event), parcel, self.office(with_queue=with_queue))

    def work(self, workers: int = 1, most: int = 10) -> None:
        """Let workers empty the queue, each taking batches of random size."""
        threads = [
            threading.Thread(target=self._work, args=(f"worker-{number}", most))
            for number in range(workers)
        ]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # so that workers really meet between two steps
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        if self.errors:
            raise self.errors[0]

    def _work(self, name: str, most: int) -> None:
        dice = random.Random(f"{self.seed}-{name}")
        try:
            for number in itertools.count():
                if self.queue.is_empty():
                    return
                for parcel in self.queue.take(dice.randint(1, most)):
                    self._one(parcel, f"{name}-{number}")
                time.sleep(0)
        except BaseException as err:
            self.errors.append(err)

    def _one(self, parcel: Parcel, owner: str) -> None:
        try:
            tell(recognise(parcel.content), parcel, self.office(owner))
        except (NotForUsError, UnrecognisedError):
            pass
        except (DeliveryError, LedgerError) as err:
            pause = getattr(err, "retry_after", None)
            self.queue.failed(parcel, 30.0 if pause is None else pause)
            return
        self.queue.done(parcel)


def shuffled(
    events: list[dict[str, Any]], seed: int, copies: Callable[[random.Random], int]
) -> Any:
    """Events in a random order, some of them more than once."""
    dice = random.Random(seed)
    found = [event for event in events for _ in range(copies(dice))]
    dice.shuffle(found)
    return found
