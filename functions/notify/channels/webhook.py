"""A generic webhook: the notice as JSON, signed, with a delivery id that a retry repeats.

Headers of a delivery:

    X-Trellis-Delivery    the same for every try of one message: whoever has seen it drops it
    X-Trellis-Timestamp   seconds since 1970; refuse what is more than five minutes off
    X-Trellis-Signature   v1=HMAC-SHA256(key, "v1:" + timestamp + ":" + delivery + ":" + body), hex
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from notify.channels.http import Post
from notify.deliver import Delivery
from notify.links import web_links
from notify.notice import Notice
from notify.route import Channel
from notify.wording import clean, cut_bytes, one_line

SCHEMA_VERSION = "1.0"
MOST_BYTES = 256 * 1024

_LONGEST_BYTES = 6000


def render(notice: Notice) -> dict[str, Any]:
    """The body; fields are only ever added within a major schema version."""
    return {
        "schema_version": SCHEMA_VERSION,
        "severity": notice.severity.value,
        "state": _line(notice.state),
        "headline": _line(notice.headline),
        "pipeline": _line(notice.pipeline),
        "stage": _line(notice.stage),
        "action": _line(notice.action),
        "execution_id": _line(notice.execution_id),
        "environment": notice.tier.value if notice.tier else None,
        "region": _line(notice.region),
        "account": _line(notice.account),
        "at": notice.at.isoformat() if notice.at else None,
        "failure_reason": _text(notice.failure_reason),
        "facts": [
            {"name": _line(fact.name), "value": _text(fact.value)} for fact in notice.facts[:20]
        ],
        "links": [
            {"key": _line(link.key), "label": link.label, "url": link.url}
            for link in web_links(notice.links)[:10]
        ],
        "next_steps": [_line(step) for step in notice.next_steps[:5]],
        "command": _line(notice.command),
        "log_tail": _text("\n".join(notice.log_tail)) or None,
    }


def sign(key: str, timestamp: str, delivery_id: str, body: bytes) -> str:
    """The signature of a delivery, as its header carries it."""
    signed = f"v1:{timestamp}:{delivery_id}:".encode() + body
    return "v1=" + hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


class Webhook:
    """One receiver, as a channel."""

    channel = Channel.WEBHOOK
    knows_repeats = True

    def __init__(self, url: str, key: str, post: Post, clock: Callable[[], float]) -> None:
        self._url, self._key, self._post, self._clock = url, key, post, clock

    def send(self, notice: Notice, delivery: Delivery) -> str:
        """Post a notice and return its delivery id."""
        body = json.dumps(render(notice), ensure_ascii=False).encode()
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Trellis-Delivery": delivery.id,
            "X-Trellis-Timestamp": timestamp,
            "X-Trellis-Signature": sign(self._key, timestamp, delivery.id, body),
        }
        self._post(self._url, body, headers)
        return delivery.id


def _line(text: str | None) -> str | None:
    return cut_bytes(one_line(text), _LONGEST_BYTES) if text is not None else None


def _text(text: str | None) -> str | None:
    return cut_bytes(clean(text), _LONGEST_BYTES) if text is not None else None
