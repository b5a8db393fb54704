"""Reading fields as AWS really writes them.

Numbers arrive as floats (`"version": 16.0`), accounts as integers, JSON as text inside JSON, dates
with and without a zone or seconds, and anything may be missing or null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from notify.happening import Origin
from trellis.arn import Arn

LONGEST = 20_000
"""Of any text of an event: beyond that nobody reads on, and every step has to carry it."""


def text(source: Mapping[str, Any], *keys: str) -> str | None:
    """The first of some fields that holds text or a number, stripped; None where none does."""
    for key in keys:
        value = source.get(key)
        if isinstance(value, bool):
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, str) and value.strip():
            return _whole_characters(value.strip()[:LONGEST])
    return None


def _whole_characters(value: str) -> str:
    """JSON can spell half a character, which no encoding takes."""
    return value if value.isascii() else value.encode(errors="replace").decode()


def whole(source: Mapping[str, Any], key: str) -> int | None:
    """A number, however it is written."""
    value = source.get(key)
    if isinstance(value, bool):
        return None
    try:
        return int(float(value)) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def mapping(source: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object, also one that is written as text; empty where there is none."""
    value = source.get(key)
    if isinstance(value, str):
        value = parsed(value)
    return value if isinstance(value, Mapping) else {}


def parsed(value: str) -> object:
    """What a text holds as JSON; None where it is none."""
    if not value.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def items(source: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects of a list; empty where there is none."""
    value = source.get(key)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def moment(value: object) -> datetime | None:
    """A time in UTC from ISO 8601 (also without seconds) or epoch milliseconds."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def origin(event: Mapping[str, Any]) -> Origin:
    """Where an event comes from: its own fields, else its first resource's ARN."""
    resources = event.get("resources")
    arn = Arn.parse(resources[0]) if isinstance(resources, list) and resources else None
    return Origin(
        account=text(event, "account") or (arn.account if arn else None) or None,
        region=text(event, "region") or (arn.region if arn else None) or None,
        at=moment(event.get("time")),
    )
