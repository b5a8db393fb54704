"""How Lambda runs an event that it was handed asynchronously, and where a failed one ends.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sandbox.eventbridge import Later

USUAL_RETRIES = 2
USUAL_AGE = 21600.0


@dataclass(frozen=True, slots=True)
class AsyncSettings:
    """What a function's EventInvokeConfig and DeadLetterConfig say; the defaults are Lambda's."""

    maximum_retry_attempts: int = USUAL_RETRIES
    maximum_event_age_seconds: float = USUAL_AGE
    on_success: str | None = None
    on_failure: str | None = None
    dead_letter: str | None = None

    @classmethod
    def from_configs(
        cls, invoke: Mapping[str, Any] | None, function: Mapping[str, Any]
    ) -> AsyncSettings:
        """Read them as PutFunctionEventInvokeConfig and CreateFunction take them."""
        invoke = invoke or {}
        destinations = invoke.get("DestinationConfig") or {}
        retries = invoke.get("MaximumRetryAttempts")
        age = invoke.get("MaximumEventAgeInSeconds")
        return cls(
            USUAL_RETRIES if retries is None else int(retries),
            USUAL_AGE if age is None else float(age),
            (destinations.get("OnSuccess") or {}).get("Destination"),
            (destinations.get("OnFailure") or {}).get("Destination"),
            (function.get("DeadLetterConfig") or {}).get("TargetArn"),
        )


@dataclass(frozen=True, slots=True)
class AsyncPace:
    """Waits between attempts, far shorter than Lambda's: a minute, then two, after a function's
    error; a second to five minutes, doubling, after a throttle."""

    after_error: tuple[float, ...] = (1.0, 2.0)
    after_throttle: float = 0.2
    longest_after_throttle: float = 5.0

    def error(self, retry: int) -> float:
        """Seconds before a retry after a function's error, counted from 1."""
        return self.after_error[min(retry, len(self.after_error)) - 1]

    def throttle(self, retry: int) -> float:
        """Seconds before the next try after a throttle, counted from 1."""
        return float(
            min(self.after_throttle * 2.0 ** min(retry - 1, 20), self.longest_after_throttle)
        )


class Ending(Enum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    FUNCTION_ERROR = "function error"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the function: how it ended, its answer or error, and the version that ran."""

    ending: Ending
    payload: Any = None
    function_error: str | None = None
    version: str = "$LATEST"


@dataclass(frozen=True, slots=True)
class Outside:
    """What an invocation does in the world around it."""

    run: Callable[[], Attempt]
    send_record: Callable[[str, Mapping[str, Any]], None]
    """Sends a destination record to the destination of that ARN."""
    bury: Callable[[str, Any, Mapping[str, Mapping[str, str]]], None]
    """Sends the event, as it came, to the dead-letter queue or topic of that ARN, with message
    attributes {name: {"DataType", "StringValue"}}."""
    count: Callable[[str], None]
    """Records 1 for a metric of AWS/Lambda, with the function as its dimension."""


class Invocation:
    """One event that waits for a function to take it."""

    def __init__(
        self,
        request_id: str,
        function_arn: str,
        event: Any,
        settings: AsyncSettings,
        outside: Outside,
        later: Later,
        pace: AsyncPace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request_id, self._function_arn, self._event = request_id, function_arn, event
        self._settings, self._outside, self._later, self._pace = settings, outside, later, pace
        self._clock = clock
        self._born = clock()
        self._errors = self._throttles = self._runs = 0

    def attempt(self) -> None:
        """Run the function once; arrange the next attempt or the end."""
        attempt = self._outside.run()
        match attempt.ending:
            case Ending.SUCCEEDED:
                self._runs += 1
                if self._settings.on_success:
                    self._record(self._settings.on_success, "Success", attempt)
            case Ending.FUNCTION_ERROR:
                self._runs += 1
                self._errors += 1
                if self._errors > self._settings.maximum_retry_attempts:
                    self._give_up(attempt, "RetriesExhausted")
                else:
                    self._again(self._pace.error(self._errors), attempt)
            case Ending.THROTTLED:
                self._throttles += 1
                self._again(self._pace.throttle(self._throttles), attempt)

    def _again(self, wait: float, attempt: Attempt) -> None:
        if self._clock() - self._born + wait > self._settings.maximum_event_age_seconds:
            self._give_up(attempt, "EventAgeExceeded")
        else:
            self._later.after(wait, self.attempt)

    def _give_up(self, attempt: Attempt, condition: str) -> None:
        self._outside.count("AsyncEventsDropped")
        if self._settings.on_failure:
            self._record(self._settings.on_failure, condition, attempt)
        if self._settings.dead_letter:
            error = attempt.payload if isinstance(attempt.payload, Mapping) else {}
            attributes = dead_letter_attributes(
                self._request_id,
                "429" if attempt.ending is Ending.THROTTLED else "200",
                error.get("errorMessage"),
            )
            self._outside.bury(self._settings.dead_letter, self._event, attributes)

    def _record(self, destination: str, condition: str, attempt: Attempt) -> None:
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": attempt.version}
        if attempt.function_error:
            response["functionError"] = attempt.function_error
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "requestContext": {
                "requestId": self._request_id,
                "functionArn": self._function_arn,
                "condition": condition,
                "approximateInvokeCount": self._runs,
            },
            "requestPayload": self._event,
        }
        # An event that expired before any run has no response.
        if self._runs:
            record |= {"responseContext": response, "responsePayload": attempt.payload}
        self._outside.send_record(destination, record)


def dead_letter_attributes(
    request_id: str, error_code: str, message: str | None
) -> dict[str, dict[str, str]]:
    """What Lambda writes on a dead letter; it keeps the first kilobyte of the message."""
    return {
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": error_code},
        "ErrorMessage": {
            "DataType": "String",
            "StringValue": str(message or "Unknown error")[:1024],
        },
    }
