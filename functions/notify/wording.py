"""Making any text fit to be shown: cleaned, on one line, cut to a length.

Commit messages and error texts come from outside. Control characters would break a subject
line, and bidirectional overrides could make one word read as another, so both are taken out;
right-to-left scripts themselves need no overrides to be shown.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

ELLIPSIS = "…"

_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_ANSI = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?)")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_JOINERS = "\u200d\ufe0e\ufe0f"


def clean(text: str) -> str:
    """A text without terminal colours, control characters and lone surrogates.

    Line ends become `\\n`; tabs stay.
    """
    if text.isprintable():  # most are, and none of these has anything to take out
        return text
    plain = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub(" ", plain))


def one_line(text: str) -> str:
    """A clean text on a single line, its white space closed up."""
    if text.isprintable() and "  " not in text:
        return text.strip()
    return _SPACE.sub(" ", clean(text)).strip()


def width(text: str) -> int:
    """Its length in UTF-16 units, the strictest way in which a channel may count characters."""
    if text.isascii():
        return len(text)
    return len(text) + sum(1 for character in text if character > "\uffff")


def cut(text: str, limit: int) -> str:
    """A text of at most `limit` UTF-16 units; what is missing is marked by an ellipsis.

    It never ends inside a character, nor on a joiner that waits for the next one.
    """
    if len(text) <= limit and width(text) <= limit:
        return text
    room, end = limit - 1, 0
    for character in text:
        room -= 2 if character > "\uffff" else 1
        if room < 0:
            break
        end += 1
    return text[:end].rstrip(_JOINERS).rstrip() + ELLIPSIS


def cut_bytes(text: str, limit: int) -> str:
    """A text of at most `limit` bytes of UTF-8."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    kept = encoded[: limit - len(ELLIPSIS.encode())].decode(errors="ignore")
    return kept.rstrip(_JOINERS).rstrip() + ELLIPSIS


def listed(names: list[str]) -> str:
    """Names as a person lists them: `Build, Lint and Test`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def moment(at: datetime) -> str:
    """A time as a person reads it, in UTC: `24 Nov 2026, 03:57 UTC`."""
    return at.astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")


def span(began: datetime | None, ended: datetime) -> tuple[str, str]:
    """Two times as a sentence has them: `09:05` and `09:10 UTC`, with their days where needed."""
    if began is None:
        return "an unknown time", moment(ended)
    if began.astimezone(UTC).date() != ended.astimezone(UTC).date():
        return moment(began), moment(ended)
    return f"{began.astimezone(UTC):%H:%M}", f"{ended.astimezone(UTC):%H:%M} UTC"


def counted(number: int, noun: str) -> str:
    """`1 action`, `2 actions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
