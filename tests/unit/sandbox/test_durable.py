"""When a durable execution runs its function again, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sandbox.durable import (
    Execution,
    GoneError,
    Operation,
    Outside,
    is_same_start,
    status_change,
)


class Clock:
    """Time that passes only when it is told to, with the work that is due in it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, work))

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.due and min(self.due, key=lambda one: one[0])[0] <= until:
            one = min(self.due, key=lambda one: one[0])
            self.due.remove(one)
            self.now = max(self.now, one[0])
            one[1]()
        self.now = until


class Function:
    """A function whose answers are written down beforehand, and what came of its execution."""

    def __init__(self, clock: Clock, *answers: Callable[[], Any] | Any) -> None:
        self.clock, self.answers = clock, list(answers)
        self.runs: list[float] = []
        self.settled: list[str] = []
        self.record: dict[str, Any] = {"Status": "RUNNING", "Operations": []}
        self.execution = Execution(
            self.record,
            Outside(
                lambda work: work(),
                self.invoke,
                self.hear,
                lambda: self.stop("TIMED_OUT"),
                self.end,
            ),
            clock,
            clock=lambda: clock.now,
        )

    def invoke(self) -> Mapping[str, Any] | None:
        self.runs.append(self.clock.now)
        answer = self.answers.pop(0)
        found: Mapping[str, Any] | None = answer() if callable(answer) else answer
        return found

    def hear(self, operation: Operation) -> None:
        self.settled.append(operation["Id"])

    def stop(self, status: str) -> None:
        self.record["Status"] = status

    def end(self, result: str | None, error: Mapping[str, Any] | None) -> None:
        self.record |= {
            "Status": "FAILED" if error is not None else "SUCCEEDED",
            "Result": result,
            "Error": error,
        }

    def begins(self, kind: str, **details: Any) -> Callable[[], Any]:
        """An answer that leaves an operation to Lambda."""
        name = {"WAIT": "WaitDetails", "STEP": "StepDetails", "CALLBACK": "CallbackDetails"}[kind]

        def answer() -> Any:
            status = "PENDING" if kind == "STEP" else "STARTED"
            self.record["Operations"].append(
                {"Id": f"{kind} {len(self.runs)}", "Type": kind, "Status": status, name: details}
            )
            return {"Status": "PENDING"}

        return answer


DONE = {"Status": "SUCCEEDED", "Result": '"done"'}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_does_not_run_while_it_waits(clock: Clock) -> None:
    function = Function(clock, DONE)
    function.answers.insert(0, function.begins("WAIT", ScheduledEndTimestamp=1030.0))
    function.execution.look()
    clock.wait(29)
    assert function.runs == [1000.0]
    clock.wait(2)
    assert function.runs == [1000.0, 1030.0]
    assert function.settled == ["WAIT 1"]
    assert (function.record["Status"], function.record["Result"]) == ("SUCCEEDED", '"done"')


def test_every_attempt_of_a_step_wakes_it(clock: Clock) -> None:
    function = Function(clock, lambda: again(1), lambda: again(2), DONE)
    step: dict[str, Any] = {"Id": "s", "Type": "STEP", "Status": "PENDING", "StepDetails": {}}
    function.record["Operations"].append(step)

    def again(attempt: int) -> Any:
        step["Status"] = "PENDING"
        step["StepDetails"] = {"Attempt": attempt, "NextAttemptTimestamp": clock.now + 5}
        return {"Status": "PENDING"}

    function.execution.look()
    clock.wait(60)
    assert function.runs == [1000.0, 1005.0, 1010.0]
    assert function.record["Status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("deadlines", "when", "error"),
    [
        ({"TimeoutDeadline": 1060.0}, 1060.0, "Callback.Timeout"),
        ({"TimeoutDeadline": 1060.0, "HeartbeatDeadline": 1010.0}, 1010.0, "Callback.Heartbeat"),
    ],
)
def test_a_callback_that_nobody_answers_times_out(
    clock: Clock, deadlines: dict[str, float], when: float, error: str
) -> None:
    function = Function(clock, DONE)
    function.answers.insert(0, function.begins("CALLBACK", **deadlines))
    function.execution.look()
    clock.wait(100)
    assert function.runs == [1000.0, when]
    [callback] = function.record["Operations"]
    assert callback["Status"] == "TIMED_OUT"
    assert callback["CallbackDetails"]["Error"]["ErrorType"] == error


def test_an_answer_from_outside_wakes_it_at_once(clock: Clock) -> None:
    function = Function(clock, DONE)
    function.answers.insert(0, function.begins("CALLBACK"))
    function.execution.look()
    clock.wait(5)
    function.record["Operations"][0]["Status"] = "SUCCEEDED"
    function.execution.look()
    assert function.runs == [1000.0, 1005.0]


def test_an_answer_that_comes_while_it_runs_is_not_lost(clock: Clock) -> None:
    function = Function(clock, DONE)
    begin = function.begins("CALLBACK")

    def answered_meanwhile() -> Any:
        pending = begin()
        function.record["Operations"][0]["Status"] = "SUCCEEDED"
        function.execution.look()  # it is busy: nothing happens
        return pending

    function.answers.insert(0, answered_meanwhile)
    function.execution.look()
    assert len(function.runs) == 2
    assert function.record["Status"] == "SUCCEEDED"


def test_an_invocation_that_failed_is_repeated_ever_later(clock: Clock) -> None:
    function = Function(clock, None, None, None, DONE)
    function.execution.look()
    clock.wait(60)
    assert function.runs == [1000.0, 1001.0, 1003.0, 1007.0]
    assert function.record["Status"] == "SUCCEEDED"


def test_to_wait_for_nothing_is_a_failed_invocation(clock: Clock) -> None:
    function = Function(clock, {"Status": "PENDING"}, DONE)
    function.execution.look()
    clock.wait(1)
    assert function.runs == [1000.0, 1001.0]


def test_a_failed_execution_is_not_repeated(clock: Clock) -> None:
    error = {"ErrorType": "RuntimeError", "ErrorMessage": "broken"}
    function = Function(clock, {"Status": "FAILED", "Error": error})
    function.execution.look()
    clock.wait(1000)
    assert function.runs == [1000.0]
    assert (function.record["Status"], function.record["Error"]) == ("FAILED", error)


def test_it_ends_when_its_own_time_is_over(clock: Clock) -> None:
    function = Function(clock)
    function.answers = [function.begins("WAIT", ScheduledEndTimestamp=9000.0)]
    function.record["_TimeoutDeadline"] = 1060.0
    function.execution.look()
    clock.wait(60)
    assert function.record["Status"] == "TIMED_OUT"
    clock.wait(9000)
    assert function.runs == [1000.0]


def test_it_fails_with_a_version_that_is_gone(clock: Clock) -> None:
    def gone() -> Any:
        raise GoneError("Function not found: f:1")

    function = Function(clock, gone)
    function.execution.look()
    assert function.record["Error"]["ErrorMessage"] == "Function not found: f:1"


def test_a_name_stands_for_one_payload() -> None:
    assert is_same_start({"InputPayload": '{"a": 1, "b": 2}'}, '{"b": 2, "a": 1}')
    assert not is_same_start({"InputPayload": '{"a": 1}'}, '{"a": 2}')


def test_a_status_change_names_the_version() -> None:
    record = {
        "DurableExecutionArn": "arn",
        "DurableExecutionName": "order-1",
        "FunctionArn": "arn:aws:lambda:us-east-1:1:function:f",
        "Version": "2",
        "Status": "SUCCEEDED",
        "StartTimestamp": 0.25,
        "EndTimestamp": 60.0,
    }
    assert status_change(record) == {
        "durableExecutionArn": "arn",
        "durableExecutionName": "order-1",
        "functionArn": "arn:aws:lambda:us-east-1:1:function:f:2",
        "status": "SUCCEEDED",
        "startTimestamp": "1970-01-01T00:00:00.250Z",
        "endTimestamp": "1970-01-01T00:01:00.000Z",
    }
