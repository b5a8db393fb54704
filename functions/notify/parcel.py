"""Unwrapping: what the function was invoked with, as single messages.

An event arrives by the queue, as itself (`sam local invoke`, a rule straight to the function),
through SNS, or through SNS and the queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFERRED = "trellis-deferred"
"""The key that marks an event which was sent back to the queue once: the reason, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One message: what is in it, and what the queue knows about it."""

    content: object
    """A JSON value, or the bare text of a mail."""
    subject: str | None = None
    message_id: str | None = None
    """The queue's id; None where no queue was in the way."""
    body: str | None = None
    """As the queue holds it, to be sent on unchanged."""
    receipt_handle: str | None = None
    received: int = 1
    """How often the queue has handed it out, this time included."""

    @property
    def is_deferred(self) -> bool:
        return isinstance(self.content, Mapping) and DEFERRED in self.content


def parcels_in(event: object) -> list[Parcel]:
    """The single messages of an invocation, in the order they came."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return [Parcel(content=event)]
    return [_from_record(record) for record in records if isinstance(record, Mapping)]


def is_batch(event: object) -> bool:
    """Whether the queue sent it, and so wants to be told which messages failed."""
    return isinstance(event, Mapping) and any(
        parcel.message_id is not None for parcel in parcels_in(event)
    )


def _from_record(record: Mapping[str, Any]) -> Parcel:
    if isinstance(mail := record.get("Sns"), Mapping):
        return Parcel(content=_json(mail.get("Message")), subject=_text(mail.get("Subject")))
    if "body" in record:
        content, subject = _json(record["body"]), None
        if isinstance(content, Mapping) and content.get("Type") == "Notification":
            subject = _text(content.get("Subject"))
            content = _json(content.get("Message"))
        attributes = record.get("attributes") or {}
        return Parcel(
            content=content,
            subject=subject,
            message_id=_text(record.get("messageId")),
            body=_text(record["body"]),
            receipt_handle=_text(record.get("receiptHandle")),
            received=_count(attributes.get("ApproximateReceiveCount")),
        )
    return Parcel(content=record)


def _json(text: object) -> object:
    """What a text holds, or the text itself where it is no JSON: a mail."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    return int(value) if isinstance(value, str) and value.isdecimal() else 1
