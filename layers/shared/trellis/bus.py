"""Publishing our own events on the default event bus."""

from __future__ import annotations

import json
from typing import Any

from trellis.errors import BusError
from trellis.events import SOURCE, OwnEvent


class Bus:
    """The default event bus of this Region."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def publish(self, event: OwnEvent, resources: tuple[str, ...] = ()) -> str:
        """Put one event on the bus and return the id that EventBridge gave it.

        PutEvents answers 200 for entries it refused
        (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html), so the
        entry itself is looked at. Raises BusError for a refusal, and where nothing answers.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        written = {
            "Source": SOURCE,
            "DetailType": event.detail_type.value,
            "Detail": json.dumps(event.to_detail(), ensure_ascii=False),
            "Resources": list(resources),
            "Time": event.at,
        }
        try:
            answer = self._client.put_events(Entries=[written])
        except (BotoCoreError, ClientError) as err:
            raise BusError(f"the event bus did not answer: {err}") from err
        entry = answer["Entries"][0]
        if answer.get("FailedEntryCount") or "EventId" not in entry:
            raise BusError(
                f"the event bus refused {event.detail_type.value!r}: "
                f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}"
            )
        return str(entry["EventId"])
