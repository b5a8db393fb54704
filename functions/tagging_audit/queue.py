"""The queue that feeds this function: an audit goes on there, and a second look is waited for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tagging_audit.command import NOTE
from tagging_audit.inventory.aws import Aws

MOST_DELAY_SECONDS = 900
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""


class AuditQueue:
    """Sends notes of this function to itself."""

    def __init__(self, aws: Aws, region: str, url: str) -> None:
        self._aws, self._region, self._url = aws, region, url

    def send(self, note: Mapping[str, Any], seconds: int = 0) -> None:
        """Have a note come back after some seconds. Raises CallError."""
        self._aws.call(
            "sqs",
            self._region,
            "send_message",
            QueueUrl=self._url,
            MessageBody=json.dumps({NOTE: dict(note)}),
            DelaySeconds=min(seconds, MOST_DELAY_SECONDS),
        )
