"""The queue that feeds this function: an event that has to wait goes back there, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from notify.parcel import DEFERRED

MOST_DELAY_SECONDS = 900


class NotifyQueue:
    """Sends an event back to be looked at again later."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def defer(self, content: Mapping[str, Any], seconds: int, reason: str) -> None:
        """Have an event come again after some seconds, marked so that it waits no second time.

        SQS delays by at most 15 minutes
        (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
        """
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps({**content, DEFERRED: reason}, ensure_ascii=False),
            DelaySeconds=min(seconds, MOST_DELAY_SECONDS),
        )
