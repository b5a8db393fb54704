"""The queue that feeds this function, and the one where lost causes end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from notify.parcel import DEFERRED

MOST_DELAY_SECONDS = 900
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""

_LONGEST_REASON = 1000


class NotifyQueue:
    """Sends messages back to be looked at again, and buries those that nothing helps."""

    def __init__(
        self, client: Callable[[], Any], url: str, dead_letter_url: str | None = None
    ) -> None:
        self._client = client
        self._url = url
        self._dead_letter_url = dead_letter_url

    @property
    def has_grave(self) -> bool:
        return self._dead_letter_url is not None

    def defer(self, content: Mapping[str, Any], seconds: int, reason: str) -> None:
        """Have an event come again after some seconds, marked so that it waits no second time."""
        marked = json.dumps({**content, DEFERRED: reason}, ensure_ascii=False)
        self.send_again(marked, seconds)

    def send_again(self, body: str, seconds: float) -> None:
        """Have a message come again as a new one."""
        self._client().send_message(
            QueueUrl=self._url, MessageBody=body, DelaySeconds=_delay(seconds)
        )

    def come_again(self, receipt_handle: str, seconds: float) -> None:
        """Have a message that failed come again after some seconds, not after the queue's own."""
        self._client().change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=_delay(seconds)
        )

    def bury(self, body: str, code: str, reason: str) -> None:
        """Put a message among the dead letters, with its reason.

        In the attributes that EventBridge uses for its own dead letters
        (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).
        """
        self._client().send_message(
            QueueUrl=self._dead_letter_url,
            MessageBody=body,
            MessageAttributes={
                "ERROR_CODE": {"DataType": "String", "StringValue": code},
                "ERROR_MESSAGE": {
                    "DataType": "String",
                    "StringValue": reason[:_LONGEST_REASON] or "no reason was given",
                },
            },
        )


def _delay(seconds: float) -> int:
    return max(0, min(round(seconds), MOST_DELAY_SECONDS))
