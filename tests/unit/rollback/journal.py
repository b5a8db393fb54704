"""A durable runtime in memory: steps are journalled, waits pass virtual time, deaths replay.

It keeps the promises that AWS makes to `rollback.script.DurableScript` and no more: what was
journalled is not done again; what was begun and not journalled is done again, but for an act,
whose ending is unknown then. After every wait the code is replayed from the top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback.codec import decode, encode
from rollback.script import (
    WAITS,
    Answer,
    Ending,
    GaveUpError,
    Outcome,
    Reply,
    Script,
    acted,
    tried,
)


class DeathError(BaseException):
    """When the function dies: nothing catches it."""


class SuspendedError(BaseException):
    """When an execution waits; it comes back later."""


@dataclass
class Clock:
    """Virtual time."""

    at: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_(self, time: timedelta) -> None:
        self.at += time


@dataclass
class Journal:
    """One execution: what it has done, and when it wants to come back."""

    name: str
    clock: Clock
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[bool, str]] = field(default_factory=dict)
    """By callback id: whether it is a yes, and the words."""
    wakes_at: datetime | None = None
    ended: str | None = None
    """`succeeded` or `failed`; None while it lives."""
    answer: Any = None
    names: list[str] = field(default_factory=list)
    """The moves of the last run from the top; a replay must begin the same."""

    def resume(self, work: Callable[[Script], Any]) -> None:
        """Run from the top until it waits, ends or dies."""
        before, self.names, self.wakes_at = self.names, [], None
        try:
            self.answer = work(JournalScript(self, ""))
            self.ended = "succeeded"
        except SuspendedError:
            pass
        except GaveUpError as err:
            self.answer, self.ended = str(err), "failed"
        finally:
            shared = min(len(before), len(self.names))
            assert before[:shared] == self.names[:shared], "a replay went another way"


class JournalScript:
    """`rollback.script.Script` over a journal."""

    def __init__(self, journal: Journal, prefix: str) -> None:
        self._journal, self._prefix, self._count = journal, prefix, 0

    @property
    def id(self) -> str:
        return self._journal.name

    def do[T](self, name: str, kind: type[T], move: Callable[[], T]) -> T:
        for attempt, seconds in enumerate((*WAITS, 0), start=1):
            key = self._key(f"{name} ({attempt})")
            entry = self._journal.entries.get(key)
            if entry is None:
                entry = self._journal.entries[key] = tried(move)
            if "value" in entry:
                return decode(kind, entry["value"])
            if not entry["again"] or not seconds:
                raise GaveUpError(f"{name}: {entry['error']}")
            self.wait(f"before {name}", timedelta(seconds=seconds))
        raise AssertionError("the last try raises or returns")

    def act(self, name: str, move: Callable[[], str | None]) -> Outcome:
        key = self._key(name)
        entry = self._journal.entries.get(key)
        if entry is None:
            self._journal.entries[key] = {"begun": True}
            entry = self._journal.entries[key] = {"value": encode(acted(move))}
        if "value" not in entry:
            unknown = Outcome(ending=Ending.UNKNOWN, message="interrupted")
            entry = self._journal.entries[key] = {"value": encode(unknown)}
        return decode(Outcome, entry["value"])

    def wait(self, name: str, time: timedelta) -> None:
        key = self._key(name)
        until = self._journal.clock.now() + max(time, timedelta(seconds=1))
        entry = self._journal.entries.setdefault(key, {"until": until})
        if self._journal.clock.now() < entry["until"]:
            self._journal.wakes_at = entry["until"]
            raise SuspendedError

    def ask(self, name: str, tell: Callable[[str], None], within: timedelta) -> Reply:
        key = self._key(name)
        until = self._journal.clock.now() + within
        entry = self._journal.entries.setdefault(
            key, {"id": f"callback-{len(self._journal.entries)}", "until": until}
        )
        self.do(f"tell of {name}", str, lambda: _told(tell, entry["id"]))
        given = self._journal.answers.get(entry["id"])
        if given is not None:
            return Reply(answer=Answer.YES if given[0] else Answer.NO, words=given[1])
        if self._journal.clock.now() < entry["until"]:
            self._journal.wakes_at = entry["until"]
            raise SuspendedError
        return Reply(answer=Answer.NONE)

    def apart[T](self, name: str, kind: type[T], part: Callable[[Script], T]) -> T:
        key = self._key(name)
        entry = self._journal.entries.get(key)
        if entry is None:
            value = part(JournalScript(self._journal, f"{key}/"))
            entry = self._journal.entries[key] = {"value": encode(value)}
        return decode(kind, entry["value"])

    def _key(self, name: str) -> str:
        self._count += 1
        key = f"{self._prefix}{self._count} {name}"
        if not self._prefix:  # a part that is over is not replayed
            self._journal.names.append(key)
        return key


def _told(tell: Callable[[str], None], callback_id: str) -> str:
    tell(callback_id)
    return callback_id
