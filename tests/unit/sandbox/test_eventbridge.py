"""Delivery of events to rule targets: retries, what is never retried, and dead letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sandbox.eventbridge import (
    DeadLetter,
    Delivery,
    DeliveryError,
    Pace,
    RetryPolicy,
    Ways,
    no_permissions,
    no_resource,
)

RULE = "arn:aws:events:us-east-1:123456789012:rule/releases"
TARGET = "arn:aws:sqs:us-east-1:123456789012:notify"


@dataclass
class Clock:
    """Time that passes only when work is waited for."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    due: list[Callable[[], None]] = field(default_factory=list)

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        self.waits.append(seconds)
        self.due.append(work)

    def run(self) -> None:
        while self.due:
            self.now += self.waits[-1]
            self.due.pop(0)()

    def __call__(self) -> float:
        return self.now


@dataclass
class Target:
    """Fails as often as it is told."""

    failures: list[DeliveryError] = field(default_factory=list)
    taken: int = 0
    dead: list[DeadLetter] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    queue_refuses: bool = False

    def hand_over(self) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken += 1

    def bury(self, letter: DeadLetter) -> None:
        if self.queue_refuses:
            raise no_permissions("no")
        self.dead.append(letter)


def deliver(target: Target, policy: RetryPolicy, *, dead_letters: bool = True) -> Clock:
    clock = Clock()
    ways = Ways(target.hand_over, target.bury if dead_letters else None, target.counted.append)
    Delivery(RULE, TARGET, policy, ways, clock, Pace(), clock).attempt()
    clock.run()
    return clock


def throttled() -> DeliveryError:
    return DeliveryError("THROTTLING", "slow down", retriable=True)


def test_a_target_that_takes_the_event_is_asked_once() -> None:
    target = Target()
    deliver(target, RetryPolicy())
    assert target.taken == 1
    assert target.counted == ["Invocations"]


def test_a_retriable_failure_is_tried_again_until_it_is_taken() -> None:
    target = Target([throttled(), throttled()])
    clock = deliver(target, RetryPolicy())
    assert (target.taken, target.dead) == (1, [])
    assert target.counted.count("RetryInvocationAttempts") == 2
    assert "FailedInvocations" not in target.counted
    assert clock.waits[1] > clock.waits[0]


def test_attempts_are_used_up_and_the_dead_letter_says_so() -> None:
    target = Target([throttled() for _ in range(9)])
    deliver(target, RetryPolicy(maximum_retry_attempts=3))
    assert len(target.failures) == 9 - 4
    assert [letter.attributes() for letter in target.dead] == [
        {
            "RULE_ARN": RULE,
            "TARGET_ARN": TARGET,
            "ERROR_CODE": "THROTTLING",
            "ERROR_MESSAGE": "slow down",
            "RETRY_ATTEMPTS": "3",
            "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        }
    ]
    assert target.counted[-3:] == ["Invocations", "FailedInvocations", "InvocationsSentToDlq"]


def test_an_event_that_grows_too_old_is_given_up() -> None:
    target = Target([throttled() for _ in range(200)])
    clock = deliver(target, RetryPolicy(maximum_event_age_seconds=60))
    assert target.dead[0].exhausted_retry_condition == "MaximumEventAgeInSeconds"
    assert clock.now <= 60


@pytest.mark.parametrize("error", [no_permissions("no"), no_resource(TARGET)])
def test_missing_permission_and_missing_target_are_never_tried_again(error: DeliveryError) -> None:
    target = Target([error])
    clock = deliver(target, RetryPolicy())
    assert clock.waits == []
    attributes = target.dead[0].attributes()
    assert attributes["ERROR_CODE"] in ("NO_PERMISSIONS", "NO_RESOURCE")
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert "EXHAUSTED_RETRY_CONDITION" not in attributes


def test_without_a_dead_letter_queue_the_event_is_dropped_and_counted() -> None:
    target = Target([no_permissions("no")])
    deliver(target, RetryPolicy(), dead_letters=False)
    assert target.counted == ["Invocations", "FailedInvocations"]


def test_a_dead_letter_queue_that_refuses_is_counted() -> None:
    target = Target([no_permissions("no")], queue_refuses=True)
    deliver(target, RetryPolicy())
    assert target.counted[-1] == "InvocationsFailedToBeSentToDlq"


def test_the_retry_policy_is_read_from_the_target_and_has_eventbridges_defaults() -> None:
    assert RetryPolicy.from_target({}) == RetryPolicy(185, 86400)
    assert RetryPolicy.from_target(
        {"RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 300}}
    ) == RetryPolicy(0, 300)
