"""Microsoft Teams, by a Workflows webhook that takes an Adaptive Card.

A message has at most 28 KB, and somewhat less got through in practice; more than four requests a
second are answered 429
(https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using).
Texts from outside stand in RichTextBlocks: these know no Markdown, so nothing needs escaping.
Nothing tells a repeat, so a message whose outcome is unknown is sent again and says so.
"""

from __future__ import annotations

import json
from typing import Any

from notify.channels.http import Post
from notify.deliver import Delivery
from notify.links import web_links
from notify.notice import Notice, Severity
from notify.route import Channel
from notify.wording import clean, cut_bytes, one_line

MOST_BYTES = 20 * 1024

_COLORS = {
    Severity.CRITICAL: "attention",
    Severity.ERROR: "attention",
    Severity.ACTION: "accent",
    Severity.WARNING: "warning",
    Severity.SUCCESS: "good",
}
_MOST_ACTIONS = 6
_MOST_FACTS = 16
_LONGEST_NAME = 100
_MOST_COMMAND = 2000
"""Enough for any of ours: one that is cut cannot be pasted."""
_BUDGETS = (2000, 1000, 400, 150, 60)
"""Bytes for one text; the first under which the whole card fits."""


def render(notice: Notice) -> dict[str, Any]:
    """The card, as large as Teams takes it."""
    for budget in _BUDGETS:
        message = _message(notice, budget)
        if size(message) <= MOST_BYTES:
            return message
    return _message(notice, _BUDGETS[-1], most_actions=1)


def size(message: dict[str, Any]) -> int:
    """Its bytes as they travel."""
    return len(json.dumps(message, ensure_ascii=False).encode())


class Teams:
    """A Workflows webhook, as a channel."""

    channel = Channel.TEAMS
    knows_repeats = False

    def __init__(self, url: str, post: Post) -> None:
        self._url, self._post = url, post

    def send(self, notice: Notice, delivery: Delivery) -> str:
        """Post a card; Teams gives no id, so the delivery's own is returned."""
        body = json.dumps(render(notice), ensure_ascii=False).encode()
        self._post(self._url, body, {"Content-Type": "application/json; charset=utf-8"})
        return delivery.id


def _message(notice: Notice, budget: int, *, most_actions: int = _MOST_ACTIONS) -> dict[str, Any]:
    body = [_headline(notice)]
    if notice.may_repeat:
        body.append(_line("", "This message may repeat one you have already had."))
    for fact in notice.facts[:_MOST_FACTS]:
        body += _lines(fact.name, fact.value, budget)
    if notice.next_steps or notice.command:
        body.append(_title("What to do next"))
        body += [_line("", f"• {_text(step, budget)}") for step in notice.next_steps[:4]]
        if notice.command:
            body.append(_code(_text(notice.command, _MOST_COMMAND)))
    if notice.log_tail:
        of = f" of {_text(notice.log_source, 100)}" if notice.log_source else ""
        body.append(_title(f"The end of the log{of}"))
        tail = cut_bytes(clean("\n".join(notice.log_tail)), budget)
        lines = [line for line in tail.split("\n") if line.strip()]
        body += [_code(line) for line in lines[: _most_lines(budget)]]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": link.label, "url": link.url}
            for link in web_links(notice.links)[:most_actions]
        ],
    }
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        ],
    }


def _headline(notice: Notice) -> dict[str, Any]:
    return {
        "type": "RichTextBlock",
        "inlines": [
            {
                "type": "TextRun",
                "text": cut_bytes(one_line(notice.headline), 400),
                "size": "large",
                "weight": "bolder",
                "color": _COLORS.get(notice.severity, "default"),
            }
        ],
    }


def _lines(name: str, value: str, budget: int) -> list[dict[str, Any]]:
    """A fact; one of several lines is set below its name, a line each."""
    lines = [line for line in cut_bytes(clean(value).strip(), budget).split("\n") if line.strip()]
    if len(lines) < 2:
        return [_line(name, lines[0].strip() if lines else "-")]
    return [
        _title(_text(name, _LONGEST_NAME)),
        *(_code(line) for line in lines[: _most_lines(budget)]),
    ]


def _most_lines(budget: int) -> int:
    """Every line is a block of its own, which costs bytes even when it says little."""
    return max(1, budget // 60)


def _line(name: str, value: str) -> dict[str, Any]:
    title = f"{_text(name, _LONGEST_NAME)}: "
    bold = [{"type": "TextRun", "text": title, "weight": "bolder"}] if name else []
    return {
        "type": "RichTextBlock",
        "spacing": "small",
        "inlines": [*bold, {"type": "TextRun", "text": value}],
    }


def _title(text: str) -> dict[str, Any]:
    return {
        "type": "RichTextBlock",
        "spacing": "medium",
        "inlines": [{"type": "TextRun", "text": text, "weight": "bolder"}],
    }


def _code(text: str) -> dict[str, Any]:
    return {
        "type": "RichTextBlock",
        "spacing": "none",
        "inlines": [{"type": "TextRun", "text": text, "fontType": "monospace"}],
    }


def _text(text: str, budget: int) -> str:
    return cut_bytes(one_line(text), budget)
