"""The few durable moves a workflow is written in; the one room that knows the durable SDK.

Code between the moves is replayed from the top after every wait, so it must be deterministic: no
clock, no random, no AWS call. Everything from outside comes through a move, whose result is
stored. Results travel through `rollback.codec`.

Trying again is written out as a move and a wait each, not left to the SDK's retries: so it shows
in the execution's history, and an act that must not happen twice is never retried by a strategy.
https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from rollback.calls import RefusedError, ThrottledError, UnansweredError
from rollback.codec import decode, encode
from trellis.errors import BusError, LedgerError, TrellisError

WAITS = (1, 2, 4, 8, 15, 30, 60, 60)
"""Seconds between tries of a move that may be repeated."""
_YES = frozenset(("", "yes", "y", "true", "ok", "approve", "approved"))
"""What a success says that is meant as one; whoever calls it with `no` means no."""


class GaveUpError(TrellisError):
    """When a move went wrong as often as it was tried, or so that trying again mends nothing."""


class Ending(StrEnum):
    """How an act that must not happen twice went."""

    DONE = "done"
    REFUSED = "refused"
    """AWS said no: surely not done."""
    THROTTLED = "throttled"
    """Surely not done; it may be tried again."""
    UNKNOWN = "unknown"
    """Nobody can say: look at the truth before anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an act."""

    ending: Ending
    value: str | None = None
    code: str | None = None
    message: str | None = None


class Answer(StrEnum):
    """What a person answered."""

    YES = "yes"
    NO = "no"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A person's answer, with what they said."""

    answer: Answer
    words: str | None = None


class Script(Protocol):
    """What a workflow may do with the world."""

    @property
    def id(self) -> str:
        """Names this execution; the same at every replay."""

    def do[T](self, name: str, kind: type[T], move: Callable[[], T]) -> T:
        """A move that may be repeated: reading, or a write that is the same twice.

        Raises GaveUpError.
        """

    def act(self, name: str, move: Callable[[], str | None]) -> Outcome:
        """A move that happens at most once."""

    def wait(self, name: str, time: timedelta) -> None:
        """Let time pass without running; whole seconds, one at least."""

    def ask(self, name: str, tell: Callable[[str], None], within: timedelta) -> Reply:
        """Wait for a person. `tell` gets the callback's id, and must be repeatable."""

    def apart[T](self, name: str, kind: type[T], part: Callable[[Script], T]) -> T:
        """A part whose moves need not be replayed once it is over."""


class DurableScript:
    """The moves as durable operations of AWS Lambda."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def id(self) -> str:
        return str(self._context.execution_context.durable_execution_arn)

    def do[T](self, name: str, kind: type[T], move: Callable[[], T]) -> T:
        for attempt, seconds in enumerate((*WAITS, 0), start=1):
            numbered = name if attempt == 1 else f"{name} ({attempt})"
            found = self._step(numbered, lambda: tried(move))
            if "value" in found:
                return decode(kind, found["value"])
            if not found["again"] or not seconds:
                raise GaveUpError(f"{name}: {found['error']}")
            self.wait(f"before {name} ({attempt + 1})", timedelta(seconds=seconds))
        raise AssertionError("the last try raises or returns")

    def act(self, name: str, move: Callable[[], str | None]) -> Outcome:
        from aws_durable_execution_sdk_python import StepError
        from aws_durable_execution_sdk_python.config import StepConfig, StepSemantics
        from aws_durable_execution_sdk_python.retries import RetryPresets

        config = StepConfig(
            retry_strategy=RetryPresets.none(),
            step_semantics=StepSemantics.AT_MOST_ONCE_PER_RETRY,
        )
        try:
            found = self._context.step(lambda _: encode(acted(move)), name=name, config=config)
        except StepError as err:
            # It was begun in an invocation that died: it may have been done.
            return Outcome(ending=Ending.UNKNOWN, message=str(err))
        return decode(Outcome, found)

    def wait(self, name: str, time: timedelta) -> None:
        from aws_durable_execution_sdk_python.config import Duration

        self._context.wait(Duration(seconds=max(1, round(time.total_seconds()))), name=name)

    def ask(self, name: str, tell: Callable[[str], None], within: timedelta) -> Reply:
        from aws_durable_execution_sdk_python import CallbackError, CallbackTimeoutError
        from aws_durable_execution_sdk_python.config import CallbackConfig, Duration

        seconds = max(1, round(within.total_seconds()))
        callback = self._context.create_callback(
            name=name, config=CallbackConfig(timeout=Duration(seconds=seconds))
        )
        self.do(f"tell of {name}", str, lambda: _told(tell, callback.callback_id))
        try:
            words = callback.result()
        except CallbackTimeoutError:
            return Reply(answer=Answer.NONE)
        except CallbackError as err:
            return Reply(answer=Answer.NO, words=str(err) or None)
        said = "" if words is None else str(words).strip().strip('"')
        answer = Answer.YES if said.lower() in _YES else Answer.NO
        return Reply(answer=answer, words=said or None)

    def apart[T](self, name: str, kind: type[T], part: Callable[[Script], T]) -> T:
        from aws_durable_execution_sdk_python import ChildContextError

        try:
            found = self._context.run_in_child_context(
                lambda inner: encode(part(DurableScript(inner))), name=name
            )
        except ChildContextError as err:
            raise GaveUpError(f"{name}: {err}") from err
        return decode(kind, found)

    def _step(self, name: str, move: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        from aws_durable_execution_sdk_python import StepError
        from aws_durable_execution_sdk_python.config import StepConfig
        from aws_durable_execution_sdk_python.retries import RetryPresets

        config = StepConfig(retry_strategy=RetryPresets.none())
        try:
            found: dict[str, Any] = self._context.step(lambda _: move(), name=name, config=config)
        except StepError as err:
            # A defect of ours: not tried again, and a person must hear of it.
            raise GaveUpError(f"{name}: {err}") from err
        return found


def tried[T](move: Callable[[], T]) -> dict[str, Any]:
    """The move's value, or why there is none and whether to try again. Raises for a defect."""
    try:
        return {"value": encode(move())}
    except (UnansweredError, ThrottledError, LedgerError, BusError) as err:
        return {"error": str(err), "again": True}
    except TrellisError as err:
        return {"error": str(err), "again": False}


def acted(move: Callable[[], str | None]) -> Outcome:
    try:
        return Outcome(ending=Ending.DONE, value=move())
    except RefusedError as err:
        return Outcome(ending=Ending.REFUSED, code=err.code, message=str(err))
    except ThrottledError as err:
        return Outcome(ending=Ending.THROTTLED, code=err.code, message=str(err))
    except UnansweredError as err:
        return Outcome(ending=Ending.UNKNOWN, code=err.code, message=str(err))


def _told(tell: Callable[[str], None], callback_id: str) -> str:
    tell(callback_id)
    return callback_id
