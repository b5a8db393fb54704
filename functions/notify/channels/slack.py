"""How a notice looks in Slack; `slack_bot` and `slack_webhook` send it.

Limits: a header has 150 characters, a section 3,000, a message 50 blocks
(https://docs.slack.dev/reference/block-kit/blocks). Only `&`, `<` and `>` mean anything in text
and are escaped (https://docs.slack.dev/messaging/formatting-message-text), first escaped, then
cut, never inside an entity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from notify.links import web_links
from notify.notice import Fact, Link, Notice, Severity
from notify.wording import ELLIPSIS, clean, cut, one_line, width

MOST_HEADER = 150
MOST_SECTION = 3000
MOST_FIELD = 2000
MOST_FIELDS = 10
MOST_BLOCKS = 50
MOST_TEXT = 3000

_SHORT_FACT = 80
_MOST_COMMAND = 2000
_MOST_FALLBACK = 600
_ENTITY = re.compile(r"&(?:amp|lt|gt);")

MARKS = {
    Severity.CRITICAL: "🚨",
    Severity.ERROR: "❌",
    Severity.ACTION: "✋",
    Severity.WARNING: "⚠️",
    Severity.SUCCESS: "✅",
    Severity.INFO: "ℹ️",
    Severity.PROGRESS: "⏳",
}
_STOPS = {
    "SUCCEEDED": "✅",
    "FAILED": "❌",
    "STARTED": "⏳",
    "RESUMED": "⏳",
    "STOPPED": "⏹",
    "STOPPING": "⏹",
    "CANCELED": "⏹",
}


def escape(text: str) -> str:
    """A text that Slack shows as it is: no mention, no link, no entity, no end of a code block."""
    plain = clean(text).replace("```", "'''")
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escaped(text: str, limit: int) -> str:
    """A text escaped, then cut, so that what is left ends outside of an entity."""
    whole = escape(text)
    if width(whole) <= limit:
        return whole
    shorter = cut(whole, limit)
    tail = shorter.rfind("&")
    if tail >= 0 and not _ENTITY.match(shorter, tail):
        return shorter[:tail].rstrip() + ELLIPSIS
    return shorter


def render(notice: Notice) -> dict[str, Any]:
    """A message of its own: all that the notice says."""
    blocks = [_header(notice)]
    if notice.may_repeat:
        blocks.append(_context("This message may repeat one you have already had."))
    blocks += _facts(notice.facts)
    if notice.next_steps or notice.command:
        blocks.append(_next_steps(notice))
    if links := _links(notice.links):
        blocks.append(_section(links))
    if notice.log_tail:
        of = f" of {one_line(notice.log_source)}" if notice.log_source else ""
        blocks.append(_code(f"The end of the log{of}", "\n".join(notice.log_tail)))
    return {"text": _fallback(notice), "blocks": blocks[:MOST_BLOCKS]}


def render_card(notice: Notice) -> dict[str, Any]:
    """The one message of a release: where it is now; the details are in its thread."""
    blocks = [_header(notice)]
    if notice.track:
        stops = [
            f"{_STOPS.get(stop.state, '▫️')} {escaped(one_line(stop.name), 100)}"
            for stop in notice.track[:40]
        ]
        blocks.append(_section("   ".join(stops)[:MOST_SECTION]))
    short = [fact for fact in notice.facts if _is_short(fact)][:MOST_FIELDS]
    if short:
        blocks.append({"type": "section", "fields": [_field(fact) for fact in short]})
    if links := _links(notice.links):
        blocks.append(_section(links))
    return {"text": _fallback(notice), "blocks": blocks}


def _header(notice: Notice) -> dict[str, Any]:
    text = cut(f"{MARKS[notice.severity]} {one_line(notice.headline)}", MOST_HEADER)
    # Plain text needs no escaping; without `emoji` a `:name:` in it stays what it is.
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _fallback(notice: Notice) -> str:
    """What a notification shows, where blocks are not."""
    said = f"{MARKS[notice.severity]} {one_line(notice.in_one_sentence)}"
    return escaped(said, _MOST_FALLBACK)


def _facts(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Short facts side by side, long ones on their own."""
    blocks: list[dict[str, Any]] = []
    short = [fact for fact in facts if _is_short(fact)]
    for start in range(0, len(short), MOST_FIELDS):
        row = short[start : start + MOST_FIELDS]
        blocks.append({"type": "section", "fields": [_field(fact) for fact in row]})
    blocks += [_code(fact.name, fact.value) for fact in facts if not _is_short(fact)]
    return blocks


def _is_short(fact: Fact) -> bool:
    return len(fact.value) <= _SHORT_FACT and "\n" not in fact.value.strip()


def _field(fact: Fact) -> dict[str, Any]:
    name, value = escaped(one_line(fact.name), 100), escaped(one_line(fact.value), 1500)
    return {"type": "mrkdwn", "text": f"*{name}*\n{value or '-'}"}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _code(name: str, text: str) -> dict[str, Any]:
    """A text as it was written, where no formatting applies; only its own end must not occur."""
    title = escaped(one_line(name), 100)
    body = escaped(text.strip(), MOST_SECTION - width(title) - 20)
    return _section(f"*{title}*\n```\n{body or '-'}\n```")


def _next_steps(notice: Notice) -> dict[str, Any]:
    steps = "\n".join(f"• {escaped(one_line(step), 220)}" for step in notice.next_steps[:4])
    command = ""
    if notice.command:
        said = escaped(one_line(notice.command), _MOST_COMMAND)
        command = f"\n```\n{said}\n```"
    return _section(f"*What to do next*\n{steps}{command}".strip())


def _links(links: Sequence[Link]) -> str:
    """Links side by side, as many as a section holds."""
    shown, room = [], MOST_SECTION
    for link in web_links(links):
        url = escape(link.url).replace("|", "%7C")
        written = f"<{url}|{escaped(link.label, 100).replace('|', '¦')}>"
        room -= width(written) + 3
        if room < 0:
            break
        shown.append(written)
    return " · ".join(shown)
