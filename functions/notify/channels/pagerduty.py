"""PagerDuty, by its Events API v2.

A summary has at most 1,024 characters, a dedup key 255, a body 512 KB
(https://developer.pagerduty.com/docs/events-api-v2-overview). An incident is named after account,
Region, pipeline and stage: the next success of the stage resolves it, and a repeat adds nothing. A
rollback that needs a person has one of its own. What neither opens nor ends an incident is a change
event (https://developer.pagerduty.com/docs/send-change-event).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from notify.channels.http import Post
from notify.deliver import Delivery, UncertainError
from notify.links import web_links
from notify.notice import IncidentMove, Notice, Severity
from notify.route import Channel
from notify.wording import clean, cut, cut_bytes, one_line

EVENTS = "https://events.pagerduty.com"
MOST_SUMMARY = 1024
MOST_KEY = 255
MOST_BYTES = 512 * 1024

_SEVERITIES = {
    Severity.CRITICAL: "critical",
    Severity.ERROR: "error",
    Severity.ACTION: "warning",
    Severity.WARNING: "warning",
}
_LONGEST_DETAIL_BYTES = 8000


def render(notice: Notice) -> list[dict[str, Any]]:
    """The events to send: one, or one for each incident that a success ends."""
    match notice.incident:
        case IncidentMove.OPEN:
            keys = notice.incident_keys or (notice.headline,)
            return [{"event_action": "trigger", "dedup_key": dedup_key(keys[0]), **_alert(notice)}]
        case IncidentMove.CLOSE:
            return [
                {"event_action": "resolve", "dedup_key": dedup_key(key)}
                for key in notice.incident_keys
            ]
        case None:
            return [_change(notice)]


def dedup_key(key: str) -> str:
    """An incident's name; one that is too long is told apart by a hash of the whole."""
    plain = one_line(key) or "trellis"
    if len(plain.encode()) <= MOST_KEY:
        return plain
    digest = hashlib.sha256(key.encode(errors="replace")).hexdigest()
    return f"{cut_bytes(plain, MOST_KEY - 70)}#{digest}"


class PagerDuty:
    """One service's integration, as a channel."""

    channel = Channel.PAGERDUTY
    knows_repeats = True

    def __init__(self, routing_key: str, post: Post, events: str = EVENTS) -> None:
        self._routing_key, self._post, self._events = routing_key, post, events

    def send(self, notice: Notice, delivery: Delivery) -> str:
        """Send an event, or the few that end several incidents, and return the last one's key."""
        sent = delivery.id
        for event in render(notice):
            path = "/v2/enqueue" if "event_action" in event else "/v2/change/enqueue"
            body = json.dumps({"routing_key": self._routing_key, **event}, ensure_ascii=False)
            answer = self._post(
                self._events + path, body.encode(), {"Content-Type": "application/json"}
            )
            try:
                said = json.loads(answer.body)
            except ValueError as err:
                raise UncertainError("PagerDuty answered with what is no JSON") from err
            if not isinstance(said, dict) or said.get("status") != "success":
                raise UncertainError("PagerDuty did not say that it took the event")
            sent = str(said.get("dedup_key") or sent)
        return sent


def _alert(notice: Notice) -> dict[str, Any]:
    links = _links(notice)
    return {
        "payload": {
            "summary": _summary(notice),
            "source": _source(notice),
            "severity": _SEVERITIES.get(notice.severity, "info"),
            **_moment(notice),
            "component": _name(notice.stage or notice.state),
            "group": _name(notice.pipeline),
            "class": _name(notice.state),
            "custom_details": _details(notice),
        },
        "links": links,
        "client": "Trellis",
        **({"client_url": links[0]["href"]} if links else {}),
    }


def _change(notice: Notice) -> dict[str, Any]:
    return {
        "payload": {
            "summary": _summary(notice),
            "source": _source(notice),
            **_moment(notice),
            "custom_details": _details(notice),
        },
        "links": _links(notice),
    }


def _summary(notice: Notice) -> str:
    return cut(one_line(notice.in_one_sentence), MOST_SUMMARY) or notice.severity.value


def _source(notice: Notice) -> str:
    return _name(notice.pipeline or notice.account)


def _name(text: str | None) -> str:
    return cut(one_line(text or ""), 200) or "trellis"


def _moment(notice: Notice) -> dict[str, str]:
    return {"timestamp": notice.at.isoformat()} if notice.at else {}


def _details(notice: Notice) -> dict[str, str]:
    details = {
        cut(one_line(fact.name), 100): cut_bytes(clean(fact.value), _LONGEST_DETAIL_BYTES)
        for fact in notice.facts[:30]
    }
    if notice.next_steps:
        steps = "\n".join(one_line(step) for step in notice.next_steps)
        details["What to do next"] = cut_bytes(steps, _LONGEST_DETAIL_BYTES)
    if notice.command:
        details["Command"] = cut_bytes(one_line(notice.command), _LONGEST_DETAIL_BYTES)
    if notice.log_tail:
        tail = clean("\n".join(notice.log_tail))
        details["The end of the log"] = cut_bytes(tail, _LONGEST_DETAIL_BYTES)
    return details


def _links(notice: Notice) -> list[dict[str, str]]:
    return [{"href": link.url, "text": link.label} for link in web_links(notice.links)[:10]]
