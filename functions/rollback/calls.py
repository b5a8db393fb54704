"""Calling one AWS operation, and knowing how it went: done, surely not done, or nobody can say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trellis.errors import TrellisError

_THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
        "ProvisionedThroughputExceededException",
    }
)


class AwsError(TrellisError):
    """When an AWS operation did not succeed; `code` is AWS's own, or the error's class."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation, self.code, self.message = operation, code, message
        super().__init__(f"{operation} answered {code}: {message}")


class RefusedError(AwsError):
    """When AWS said no: it was surely not done, and asking again the same way is no use."""


class ThrottledError(AwsError):
    """When AWS was asked too often: it was surely not done, and may be asked again later."""


class UnansweredError(AwsError):
    """When nobody can say whether it was done: no answer, or an error on AWS's side."""


def call(operation: Callable[..., Any], **request: Any) -> Any:
    """Call a client's method; raises RefusedError, ThrottledError or UnansweredError."""
    from botocore.exceptions import BotoCoreError, ClientError

    name = getattr(operation, "__name__", "the operation")
    try:
        return operation(**request)
    except ClientError as err:
        error = err.response.get("Error", {})
        code, message = str(error.get("Code", "Unknown")), str(error.get("Message", err))
        status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        if code in _THROTTLES or status == 429:
            raise ThrottledError(name, code, message) from err
        if status >= 500:
            raise UnansweredError(name, code, message) from err
        raise RefusedError(name, code, message) from err
    except BotoCoreError as err:
        raise UnansweredError(name, type(err).__name__, str(err)) from err
