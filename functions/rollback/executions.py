"""Lambda's durable executions: whether a watch still lives, and beginning another.

https://docs.aws.amazon.com/lambda/latest/api/API_GetDurableExecution.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rollback.calls import RefusedError, call


class Executions:
    """The executions of this function; `function` is its ARN with the alias."""

    def __init__(self, client: Any, function: str) -> None:
        self._client, self._function = client, function

    def is_alive(self, holder: str) -> bool:
        """Whether an execution still goes on; one that is forgotten does not."""
        return self._status(holder) == "RUNNING"

    def is_stopped(self, holder: str) -> bool:
        """Whether somebody stopped an execution: Lambda itself never does."""
        return self._status(holder) == "STOPPED"

    def _status(self, holder: str) -> str:
        try:
            found = call(self._client.get_durable_execution, DurableExecutionArn=holder)
        except RefusedError as err:
            if err.code == "ResourceNotFoundException":
                return ""
            raise
        return str(found.get("Status"))

    def begin(self, event: Mapping[str, object]) -> None:
        """Invoke this function with an event, and do not wait for it."""
        call(
            self._client.invoke,
            FunctionName=self._function,
            InvocationType="Event",
            Payload=json.dumps(event).encode(),
        )
