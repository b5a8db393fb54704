"""Asynchronous invocations of Lambda: retries, age, destinations and dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.invocation import AsyncPace, AsyncSettings, Attempt, Ending, Invocation, Outside
from tests.unit.sandbox.test_eventbridge import Clock

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:notify:live"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:failed"
ERROR = {"errorMessage": "boom", "errorType": "ValueError"}
FAILED = Attempt(Ending.FUNCTION_ERROR, ERROR, "Unhandled", "7")


@dataclass
class World:
    attempts: list[Attempt]
    runs: int = 0
    records: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    buried: list[tuple[str, Any, Mapping[str, Mapping[str, str]]]] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def run(self) -> Attempt:
        self.runs += 1
        return self.attempts.pop(0) if self.attempts else Attempt(Ending.SUCCEEDED, {"ok": True})

    def invoke(self, settings: AsyncSettings) -> Clock:
        clock = Clock()
        outside = Outside(
            self.run,
            lambda arn, record: self.records.append((arn, record)),
            lambda arn, event, attributes: self.buried.append((arn, event, attributes)),
            self.counted.append,
        )
        Invocation(
            "request-1", FUNCTION, {"id": 1}, settings, outside, clock, AsyncPace(), clock
        ).attempt()
        clock.run()
        return clock


def test_a_function_that_fails_runs_three_times_by_default() -> None:
    world = World([FAILED] * 5)
    world.invoke(AsyncSettings())
    assert world.runs == 3
    assert world.counted == ["AsyncEventsDropped"]


def test_a_retry_that_succeeds_ends_it() -> None:
    world = World([FAILED])
    world.invoke(AsyncSettings(on_failure=QUEUE, dead_letter=QUEUE))
    assert (world.runs, world.records, world.buried) == (2, [], [])


def test_the_failure_record_carries_the_request_the_response_and_the_true_count() -> None:
    world = World([FAILED] * 5)
    world.invoke(AsyncSettings(maximum_retry_attempts=1, on_failure=QUEUE))
    [(destination, record)] = world.records
    assert destination == QUEUE
    assert record["requestContext"] == {
        "requestId": "request-1",
        "functionArn": FUNCTION,
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 2,
    }
    assert record["requestPayload"] == {"id": 1}
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "7",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"] == ERROR
    assert record["timestamp"].endswith("Z")


def test_the_dead_letter_is_the_event_itself_with_the_error_beside_it() -> None:
    world = World([FAILED])
    world.invoke(AsyncSettings(maximum_retry_attempts=0, dead_letter=QUEUE))
    [(target, event, attributes)] = world.buried
    assert (target, event) == (QUEUE, {"id": 1})
    assert attributes["ErrorMessage"]["StringValue"] == "boom"
    assert attributes["ErrorCode"] == {"DataType": "Number", "StringValue": "200"}


def test_a_throttled_event_waits_for_hours_not_for_three_attempts() -> None:
    world = World([Attempt(Ending.THROTTLED)] * 20)
    world.invoke(AsyncSettings())
    assert world.runs == 21
    assert world.counted == []


def test_an_event_that_grows_too_old_without_a_run_has_no_response() -> None:
    world = World([Attempt(Ending.THROTTLED)] * 200)
    clock = world.invoke(AsyncSettings(maximum_event_age_seconds=60, on_failure=QUEUE))
    [(_, record)] = world.records
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responsePayload" not in record
    assert clock.now <= 60


def test_settings_are_read_from_the_functions_configurations() -> None:
    invoke = {
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": 3600,
        "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
    }
    function = {"DeadLetterConfig": {"TargetArn": QUEUE}}
    assert AsyncSettings.from_configs(invoke, function) == AsyncSettings(
        0, 3600, None, QUEUE, QUEUE
    )
    assert AsyncSettings.from_configs(None, {}) == AsyncSettings(2, 21600)
