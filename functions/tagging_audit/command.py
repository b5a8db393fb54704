"""What an invocation asks for, whatever shape it comes in.

The queue hands over EventBridge's events (the schedule, the end of a release, a changed tag, a
created resource) and this function's own notes to itself; a person hands over a small document:

    {"scope": "stack", "regions": ["us-east-1"], "remedy": "dry-run"}

Every part of it may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tagging_audit.creation import created_arns
from tagging_audit.policy import near_miss
from tagging_audit.scope import RemedyMode, ScopeKind
from trellis.errors import TrellisError

NOTE = "trellis-audit"
"""The key of a note of this function to itself: `{"trellis-audit": {"continue": "<audit id>"}}`."""

_ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "CANCELED")
_PARTS = ("scope", "regions", "remedy")


class CommandError(TrellisError):
    """When nobody can say what an invocation asks for; the text names the part and its mend."""


class Trigger(StrEnum):
    """What made an audit begin."""

    SCHEDULE = "schedule"
    RELEASE = "release"
    TAG_CHANGE = "tag-change"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Audit, as configured but for what is named here."""

    trigger: Trigger
    scope: ScopeKind | None = None
    regions: tuple[str, ...] = ()
    remedy: RemedyMode | None = None


@dataclass(frozen=True, slots=True)
class GoOn:
    """Go on with an audit that ran out of time."""

    audit_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChange:
    """Tags of a resource changed; the event carries all it has now."""

    arn: str
    tags: Mapping[str, str]
    changed: tuple[str, ...]
    """Keys that were added, changed or taken away."""
    version: int
    """Grows with every change of the resource: of two events the greater one is the newer."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Created:
    """Resources were created; nobody said with which tags."""

    arns: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The grace of some resources is over."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """An event that asks for nothing, and why."""

    reason: str


type Command = Audit | GoOn | TagChange | Created | LookAgain | Nothing


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message: what it asks for, and what the queue calls it."""

    content: object
    message_id: str | None = None


def parcels_in(event: object) -> list[Parcel]:
    """The single messages of an invocation."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        return [Parcel(event)]
    return [Parcel(_json(one.get("body")), one.get("messageId")) for one in records]


def command_in(content: object) -> Command:
    """What a message asks for. Raises CommandError."""
    if not isinstance(content, Mapping):
        raise CommandError(
            f"a message is {type(content).__name__}, not an object: {content!r:.100}"
        )
    if NOTE in content:
        return _note(content[NOTE])
    if "detail-type" not in content:
        return _by_hand(content)
    detail = content.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    match content.get("source"), content["detail-type"]:
        case (("aws.events" | "aws.scheduler"), "Scheduled Event"):
            return Audit(trigger=Trigger.SCHEDULE)
        case "aws.codepipeline", "CodePipeline Pipeline Execution State Change":
            if detail.get("state") in _ENDED:
                return Audit(trigger=Trigger.RELEASE)
            return Nothing(f"a release that is {detail.get('state')} has not ended")
        case "aws.tag", "Tag Change on Resource":
            return _tag_change(content, detail)
        case _, "AWS API Call via CloudTrail":
            arns = created_arns(detail)
            return Created(arns, _time(content)) if arns else Nothing("nothing was created")
    raise CommandError(
        f"an event {content['detail-type']!r} of {content.get('source')!r} asks for nothing that "
        "this function does"
    )


def _tag_change(event: Mapping[str, Any], detail: Mapping[str, Any]) -> Command:
    resources = event.get("resources")
    if not isinstance(resources, list) or not resources or not isinstance(resources[0], str):
        raise CommandError("a tag change names no resource")
    tags, changed = detail.get("tags"), detail.get("changed-tag-keys")
    if not isinstance(tags, Mapping) or not isinstance(changed, list):
        raise CommandError(f"a tag change of {resources[0]} has no tags or no changed-tag-keys")
    version = detail.get("version")
    return TagChange(
        arn=resources[0],
        tags={str(key): str(value) for key, value in tags.items()},
        changed=tuple(str(key) for key in changed),
        version=int(version) if isinstance(version, int | float) else 0,
        at=_time(event),
    )


def _note(note: object) -> Command:
    if isinstance(note, Mapping) and isinstance(note.get("continue"), str):
        return GoOn(note["continue"])
    if isinstance(note, Mapping) and "look-again" in note:
        return LookAgain()
    raise CommandError(f"{NOTE} is {note!r:.100}: it is this function's own, leave it out")


def _by_hand(content: Mapping[str, Any]) -> Audit:
    for key in content:
        if key not in _PARTS:
            near = near_miss(str(key), dict.fromkeys(_PARTS, ""))
            mend = f"did you mean {near}?" if near else f"known are {', '.join(_PARTS)}"
            raise CommandError(f"unknown part {key!r}: {mend}")
    regions = content.get("regions", [])
    if not isinstance(regions, list) or not all(isinstance(one, str) and one for one in regions):
        raise CommandError(f'regions is {regions!r}: write a list, like ["us-east-1"]')
    return Audit(
        trigger=Trigger.MANUAL,
        scope=_one_of(content, "scope", (ScopeKind.STACK, ScopeKind.ACCOUNT)),
        regions=tuple(regions),
        remedy=_one_of(content, "remedy", tuple(RemedyMode)),
    )


def _one_of[Choice: StrEnum](
    content: Mapping[str, Any], name: str, choices: tuple[Choice, ...]
) -> Choice | None:
    if name not in content:
        return None
    for choice in choices:
        if content[name] == choice.value:
            return choice
    allowed = " or ".join(choice.value for choice in choices)
    raise CommandError(f"{name} is {content[name]!r}: write {allowed}")


def _json(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _time(event: Mapping[str, Any]) -> datetime:
    try:
        found = datetime.fromisoformat(str(event.get("time")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
