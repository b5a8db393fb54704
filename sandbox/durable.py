"""When a durable execution of Lambda runs its function, and when it ends.

https://docs.aws.amazon.com/lambda/latest/dg/durable-functions.html
https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk-retries.html
https://docs.aws.amazon.com/lambda/latest/dg/durable-best-practices.html

An execution's record is what the Lambda API tells of it (GetDurableExecution), with its
`Operations` as CheckpointDurableExecution made them; times are seconds since the epoch. Operations
that the function began and left to Lambda (a wait, a callback, a step that is tried again later)
are settled here, and then the function runs again, from its top.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.eventbridge import Later

Record = dict[str, Any]
Operation = dict[str, Any]

RUNNING = "RUNNING"
ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED", "CANCELLED"})
LEFT_TO_LAMBDA = frozenset({"WAIT", "CALLBACK", "CHAINED_INVOKE"})


class GoneError(Exception):
    """When the version of the function that an execution began with is no more."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits before an invocation that failed is repeated. AWS names no numbers."""

    first: float = 1.0
    longest: float = 30.0

    def before(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return float(min(self.first * 2.0 ** min(failures - 1, 20), self.longest))


@dataclass(frozen=True, slots=True)
class Outside:
    """What an execution does in the world around it."""

    start: Callable[[Callable[[], None]], None]
    """Does work on a thread of its own."""
    invoke: Callable[[], Mapping[str, Any] | None]
    """Runs the function once; None when the invocation failed. Raises GoneError."""
    settled: Callable[[Operation], None]
    """Hears of an operation that Lambda ended by itself."""
    time_out: Callable[[], None]
    """Ends the execution as timed out."""
    end: Callable[[str | None, Mapping[str, Any] | None], None]
    """Ends the execution with a result, or with an error."""


class Execution:
    """One durable execution. It never runs twice at the same time."""

    def __init__(
        self,
        record: Record,
        outside: Outside,
        later: Later,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.record = record
        self._outside, self._later, self._clock = outside, later, clock
        self._backoff = backoff or Backoff()
        self._lock = threading.RLock()
        self._is_busy = False
        self._is_due = True
        """Whether to run although nothing was settled: the first time, and after a failure."""
        self._told: set[tuple[str, str, int]] = set()
        self._failures = 0

    def look(self) -> None:
        """Settle what is due and run the function if that is what it waits for; returns at once.

        Look again whenever something happened to the execution.
        """
        with self._lock:
            self.settle()
            if self.record["Status"] != RUNNING or self._is_busy:
                return
            if self._is_due or self._news():
                self._is_due, self._is_busy = False, True
                self._outside.start(self._run)
                return
            self._wait()

    def settle(self) -> None:
        """End the operations whose time has come, and the execution when its own has."""
        with self._lock:
            if self.record["Status"] != RUNNING:
                return
            now = self._clock()
            deadline = self.record.get("_TimeoutDeadline")
            if deadline is not None and now >= deadline:
                self._outside.time_out()
                return
            for operation in self.record["Operations"]:
                if _settle(operation, now):
                    self._outside.settled(operation)

    def _run(self) -> None:
        with self._lock:
            self._told |= self._news()
        try:
            answer = self._outside.invoke()
        except GoneError as error:
            self._outside.end(None, {"ErrorType": "ResourceNotFound", "ErrorMessage": str(error)})
            return
        except BaseException:
            self._ran(None)
            raise
        self._ran(answer)

    def _ran(self, answer: Mapping[str, Any] | None) -> None:
        with self._lock:
            self._is_busy = False
            if self.record["Status"] != RUNNING:
                return
            match (answer or {}).get("Status"):
                case "SUCCEEDED":
                    self._outside.end((answer or {}).get("Result"), None)
                    return
                case "FAILED":
                    self._outside.end(None, (answer or {}).get("Error") or {})
                    return
                case "PENDING" if self._is_pending():
                    self._failures = 0
                    self.look()
                    return
            # It failed, or it waits for nothing: Lambda runs it again after a while.
            self._failures += 1
            self._later.after(self._backoff.before(self._failures), self._again)

    def _again(self) -> None:
        with self._lock:
            self._is_due = True
            self.look()

    def _wait(self) -> None:
        due = [when for operation in self.record["Operations"] for when in due_times(operation)]
        if self.record.get("_TimeoutDeadline") is not None:
            due.append(self.record["_TimeoutDeadline"])
        if due:
            self._later.after(max(0.0, min(due) - self._clock()), self.look)

    def _news(self) -> set[tuple[str, str, int]]:
        """What Lambda or somebody outside settled and no invocation began with."""
        settled = {
            (
                operation["Id"],
                operation["Status"],
                operation.get("StepDetails", {}).get("Attempt", 0),
            )
            for operation in self.record["Operations"]
            if operation["Status"] == "READY"
            or (operation["Type"] in LEFT_TO_LAMBDA and operation["Status"] in ENDED)
        }
        return settled - self._told

    def _is_pending(self) -> bool:
        """Whether anything will ever wake it."""
        return bool(self._news()) or any(
            operation["Status"] == "PENDING"
            or (operation["Type"] in LEFT_TO_LAMBDA and operation["Status"] == "STARTED")
            for operation in self.record["Operations"]
        )


def due_times(operation: Mapping[str, Any]) -> Iterator[float]:
    """When an operation is to be settled."""
    match operation["Type"], operation["Status"]:
        case "WAIT", "STARTED":
            times = [operation.get("WaitDetails", {}).get("ScheduledEndTimestamp")]
        case "STEP", "PENDING":
            times = [operation.get("StepDetails", {}).get("NextAttemptTimestamp")]
        case "CALLBACK", "STARTED":
            details = operation.get("CallbackDetails", {})
            times = [details.get("TimeoutDeadline"), details.get("HeartbeatDeadline")]
        case _:
            times = []
    yield from (when for when in times if when is not None)


def _settle(operation: Operation, now: float) -> bool:
    """End an operation whose time has come; whether it had."""
    if not any(when <= now for when in due_times(operation)):
        return False
    match operation["Type"]:
        case "WAIT":
            operation |= {"Status": "SUCCEEDED", "EndTimestamp": now}
        case "STEP":
            operation["Status"] = "READY"
        case _:
            deadline = operation["CallbackDetails"].get("TimeoutDeadline")
            kind = "Callback.Timeout"
            if deadline is None or deadline > now:
                kind = "Callback.Heartbeat"
            operation |= {"Status": "TIMED_OUT", "EndTimestamp": now}
            operation["CallbackDetails"]["Error"] = {
                "ErrorType": kind,
                "ErrorMessage": f"Callback timed out: {kind}",
            }
    return True


def is_same_start(record: Mapping[str, Any], payload: str) -> bool:
    """Whether an execution was begun with this payload, so that its name may be used again.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
    """
    return bool(json.loads(record["InputPayload"] or "null") == json.loads(payload or "null"))


def status_change(record: Mapping[str, Any]) -> dict[str, Any]:
    """The detail of a "Durable Execution Status Change" event.

    https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html
    """
    detail = {
        "durableExecutionArn": record["DurableExecutionArn"],
        "durableExecutionName": record["DurableExecutionName"],
        "functionArn": f"{record['FunctionArn']}:{record['Version']}",
        "status": record["Status"],
        "startTimestamp": _iso(record["StartTimestamp"]),
    }
    if record.get("EndTimestamp") is not None:
        detail["endTimestamp"] = _iso(record["EndTimestamp"])
    return detail


def _iso(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
