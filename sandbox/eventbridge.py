"""How EventBridge hands an event to a rule's target, and what becomes of it when it cannot.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/rule-dlq.html
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

SERVICE = "events.amazonaws.com"
USUAL_RETRIES = 185
USUAL_AGE = 86400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A target's RetryPolicy; the defaults are EventBridge's own."""

    maximum_retry_attempts: int = USUAL_RETRIES
    maximum_event_age_seconds: float = USUAL_AGE

    @classmethod
    def from_target(cls, target: Mapping[str, Any]) -> RetryPolicy:
        """Read it from a target as PutTargets takes it."""
        given = target.get("RetryPolicy") or {}
        return cls(
            int(given.get("MaximumRetryAttempts", USUAL_RETRIES)),
            float(given.get("MaximumEventAgeInSeconds", USUAL_AGE)),
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a retry waits: exponential, with jitter, and far shorter than on AWS.

    AWS names no figures for the back-off, only its form. Event ages are counted in real seconds.
    """

    first: float = 0.2
    longest: float = 5.0

    def wait(self, retry: int) -> float:
        """Seconds before a retry, counted from 1."""
        grown: float = min(self.first * 2.0 ** min(retry - 1, 20), self.longest)
        return grown * random.uniform(0.75, 1.25)  # noqa: S311  # jitter keeps no secret


class DeliveryError(Exception):
    """When a target did not take an event; `code` is one of those that a dead letter carries."""

    def __init__(self, code: str, message: str, *, retriable: bool = False) -> None:
        self.code, self.message, self.retriable = code, message, retriable
        super().__init__(f"{code}: {message}")


def no_permissions(message: str) -> DeliveryError:
    """The target's policy, or a key's, does not let EventBridge in: never tried again."""
    return DeliveryError("NO_PERMISSIONS", message)


def no_resource(arn: str) -> DeliveryError:
    """The target is gone: never tried again."""
    return DeliveryError("NO_RESOURCE", f"The target does not exist: {arn}")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up: what its message in the dead-letter queue says."""

    rule_arn: str
    target_arn: str
    error_code: str
    error_message: str
    retry_attempts: int
    exhausted_retry_condition: str | None

    def attributes(self) -> dict[str, str]:
        """The message attributes, all of type String.

        EXHAUSTED_RETRY_CONDITION is there only when a limit of the retry policy ended it.
        """
        attributes = {
            "RULE_ARN": self.rule_arn,
            "TARGET_ARN": self.target_arn,
            "ERROR_CODE": self.error_code,
            "ERROR_MESSAGE": self.error_message,
            "RETRY_ATTEMPTS": str(self.retry_attempts),
        }
        if self.exhausted_retry_condition:
            attributes["EXHAUSTED_RETRY_CONDITION"] = self.exhausted_retry_condition
        return attributes


class Later(Protocol):
    """Something that does work on a later day; `sandbox.timers.Timers` is one."""

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        """Do it once, that many seconds from now."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What a delivery does in the world around it."""

    hand_over: Callable[[], None]
    """Gives the event to the target, or raises DeliveryError."""
    bury: Callable[[DeadLetter], None] | None
    """Puts it into the target's dead-letter queue, or raises DeliveryError; None without one."""
    count: Callable[[str], None]
    """Records 1 for a metric of AWS/Events, with the rule as its dimension.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    """


class Delivery:
    """One event on its way to one target of one rule."""

    def __init__(
        self,
        rule_arn: str,
        target_arn: str,
        policy: RetryPolicy,
        ways: Ways,
        later: Later,
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rule_arn, self._target_arn = rule_arn, target_arn
        self._policy, self._ways, self._later, self._pace = policy, ways, later, pace
        self._clock = clock
        self._born = clock()
        self._retries = 0

    def attempt(self) -> None:
        """Try once; arrange the next try or the end."""
        try:
            self._ways.hand_over()
        except DeliveryError as error:
            self._failed(error)
        else:
            self._ways.count("Invocations")
            if self._retries:
                self._ways.count("SuccessfulInvocationAttempts")

    def _failed(self, error: DeliveryError) -> None:
        if not error.retriable:
            self._give_up(error, None)
            return
        if self._retries >= self._policy.maximum_retry_attempts:
            self._give_up(error, "MaximumRetryAttempts")
            return
        wait = self._pace.wait(self._retries + 1)
        if self._clock() - self._born + wait > self._policy.maximum_event_age_seconds:
            self._give_up(error, "MaximumEventAgeInSeconds")
            return
        self._retries += 1
        self._ways.count("RetryInvocationAttempts")
        self._later.after(wait, self.attempt)

    def _give_up(self, error: DeliveryError, condition: str | None) -> None:
        # "Invocations" counts what EventBridge tried and ended with, good or bad; retries apart.
        self._ways.count("Invocations")
        self._ways.count("FailedInvocations")
        if self._ways.bury is None:
            return
        letter = DeadLetter(
            self._rule_arn,
            self._target_arn,
            error.code,
            error.message,
            self._retries,
            condition,
        )
        try:
            self._ways.bury(letter)
        except DeliveryError:
            self._ways.count("InvocationsFailedToBeSentToDlq")
        else:
            self._ways.count("InvocationsSentToDlq")
