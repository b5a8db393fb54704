"""How a notice looks in Slack; `slack_bot` and `slack_webhook` send it.

Limits: a header has 150 characters, a section 3,000, a message 50 blocks
(https://docs.slack.dev/reference/block-kit/blocks). All blocks together are refused too when their
text is too long (`msg_blocks_too_long`); where, Slack does not say, others met it above 11,000
characters. Only `&`, `<` and `>` mean anything in text
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
MOST_TOGETHER = 9000
"""Characters of all blocks of a message: what was written as it was said is cut to what is left."""

_SHORT_FACT = 80
_LEAST_CODE = 40
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
    blocks += _short_facts(notice.facts)
    after = [_next_steps(notice)] if notice.next_steps or notice.command else []
    if links := _links(notice.links):
        after.append(_section(links))
    room = MOST_TOGETHER - sum(_width(block) for block in (*blocks, *after))
    for fact in notice.facts:
        if not _is_short(fact) and (block := _code(fact.name, fact.value, room)):
            blocks.append(block)
            room -= _width(block)
    blocks += after
    if notice.log_tail:
        of = f" of {one_line(notice.log_source)}" if notice.log_source else ""
        if block := _code(f"The end of the log{of}", "\n".join(notice.log_tail), room):
            blocks.append(block)
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


def _width(block: dict[str, Any]) -> int:
    """The characters of a block's texts."""
    texts = [*block.get("fields", ()), *block.get("elements", ())]
    texts += [block["text"]] if "text" in block else []
    return sum(width(text["text"]) for text in texts)


def _short_facts(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Short facts side by side; long ones stand on their own."""
    blocks: list[dict[str, Any]] = []
    short = [fact for fact in facts if _is_short(fact)]
    for start in range(0, len(short), MOST_FIELDS):
        row = short[start : start + MOST_FIELDS]
        blocks.append({"type": "section", "fields": [_field(fact) for fact in row]})
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


def _code(name: str, text: str, room: int) -> dict[str, Any] | None:
    """A text as it was written, where no formatting applies; only its own end must not occur.

    None where there is no room left to say anything.
    """
    title = escaped(one_line(name), 100)
    limit = min(room, MOST_SECTION) - width(title) - 20
    if limit < _LEAST_CODE:
        return None
    body = escaped(text.strip(), limit)
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
