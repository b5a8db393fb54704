"""Judging: one resource against the policy, and nothing else.

A tag rule has three parts: the key must be there, its value must say something, and the value must
be one that is allowed. A resource of this stack must carry the very value that the stack gives it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from tagging_audit.resource import Resource, TagRoute
from trellis.verdict import Verdict

SYSTEM_PREFIX = "aws:"
"""Keys that begin so, in any case, are AWS's own: nobody can set them."""


class Problem(StrEnum):
    """What can be wrong with one tag of one resource."""

    MISSING = "missing"
    NEAR_MISS = "near-miss"
    """The key is missing, and another one is there that was surely meant for it."""
    EMPTY = "empty"
    BLANK = "blank"
    """A value of nothing but spaces and invisible characters."""
    NOT_ALLOWED = "not-allowed"
    EXPIRED_EXEMPTION = "expired-exemption"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in a sentence, with what would mend it."""

    tag: str
    """The key it is about; empty where it is about the resource as a whole."""
    problem: Problem
    text: str
    found: str | None = None
    """The value that is wrong, or the key that comes near."""
    suggestion: str | None = None
    """The value, or the key, that would be right."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one resource, what is wrong with it, and why where the verdict needs it."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    reason: str | None = None


class Glob:
    """A pattern for ARNs and types: `*` is any text, `?` any one character, all else is itself."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        escaped = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
        self._compiled = re.compile(escaped, re.DOTALL)

    def fits(self, text: str) -> bool:
        return self._compiled.fullmatch(text) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Glob({self.text!r})"


@dataclass(frozen=True, slots=True)
class TagRule:
    """Which values of a tag are right; no values and no pattern allow anything visible."""

    key: str
    values: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    stack_value: str | None = None
    """What a resource of this stack carries; None where the stack does not say."""
    is_tier: bool = False
    """The stack's value is the environment that the resource belongs to."""


@dataclass(frozen=True, slots=True)
class TypeRule:
    """What is different for some types of resources."""

    types: tuple[Glob, ...]
    required: tuple[str, ...] | None = None
    """The keys that these must carry, instead of the policy's own."""
    optional: frozenset[str] = frozenset()
    """Keys that these need not carry."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """Somebody's word that some resources need not comply, until a day."""

    owner: str
    reason: str
    expires: date
    """The last day on which it holds, in UTC."""
    resources: tuple[Glob, ...] = ()
    types: tuple[Glob, ...] = ()
    tags: frozenset[str] = frozenset()
    """The keys it is about; none means all."""
    line: int = 0

    def covers(self, resource: Resource) -> bool:
        return (not self.resources or any(one.fits(resource.arn) for one in self.resources)) and (
            not self.types or any(one.fits(resource.type) for one in self.types)
        )

    def has_expired(self, now: datetime) -> bool:
        end = datetime.combine(self.expires, time(), UTC) + timedelta(days=1)
        return now >= end


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What the tags of every resource must be."""

    required: tuple[str, ...]
    stack_required: tuple[str, ...] = ()
    """What this stack's own resources must carry beside these."""
    tags: Mapping[str, TagRule] = field(default_factory=dict)
    types: tuple[TypeRule, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    services: tuple[str, ...] = ()
    """The services whose resources an account-wide audit lists itself."""
    services_when_seen: tuple[str, ...] = ()
    """Those it lists where the tagging API shows that they are in use."""
    name: str = "policy.toml"


def judge(resource: Resource, policy: Policy, now: datetime) -> Judgement:
    """Say whether a resource complies.

    What nobody could read is unknown, never untagged; what cannot carry tags is named, never
    blamed. An exemption that has expired no longer excuses, and is a finding of its own beside
    what it hid.
    """
    if resource.route is TagRoute.NOBODY:
        return Judgement(Verdict.UNTAGGABLE, reason=resource.refusal or "its type takes no tags")
    if resource.tags is None:
        return Judgement(Verdict.UNKNOWN, reason=resource.trouble or "its tags could not be read")
    findings = _findings(resource, resource.tags, policy)
    if not findings:
        return _COMPLIANT
    excused, reasons, expired = set[str](), list[str](), list[Finding]()
    for exemption in policy.exemptions:
        if not exemption.covers(resource):
            continue
        hidden = [one for one in findings if not exemption.tags or one.tag in exemption.tags]
        if not hidden:
            continue
        if exemption.has_expired(now):
            expired.append(_expired(exemption, policy))
        else:
            excused.update(one.tag for one in hidden)
            reasons.append(
                f"{exemption.reason} ({exemption.owner}, until {exemption.expires.isoformat()})"
            )
    left = [one for one in findings if one.tag not in excused]
    if not left:
        return Judgement(Verdict.EXEMPT, reason="; ".join(reasons))
    return Judgement(
        Verdict.NON_COMPLIANT, (*left, *expired), "; ".join(reasons) if reasons else None
    )


def is_blank(value: str) -> bool:
    """Whether a value shows nothing: only spaces, and characters that have no shape."""
    if not value.strip():
        return True
    # A text of printable characters shows something by now; another is looked at one by one.
    return not value.isprintable() and all(
        character.isspace() or unicodedata.category(character) in ("Cf", "Cc")
        for character in value
    )


def wanted_keys(policy: Policy, type_: str, *, is_ours: bool) -> tuple[str, ...]:
    """The keys that a resource of a type must carry, in the policy's order."""
    return _wanted(policy, type_, is_ours)


def stack_value(rule: TagRule | None, resource: Resource) -> str | None:
    """The value that this stack gives a tag of a resource; None where it does not know one."""
    if rule is None or not resource.is_ours:
        return None
    return resource.tier if rule.is_tier else rule.stack_value


_COMPLIANT = Judgement(Verdict.COMPLIANT)


@lru_cache(maxsize=1024)
def _wanted(policy: Policy, type_: str, is_ours: bool) -> tuple[str, ...]:
    keys = policy.required
    if is_ours:
        keys += tuple(key for key in policy.stack_required if key not in keys)
    optional = set[str]()
    for rule in policy.types:
        if any(one.fits(type_) for one in rule.types):
            keys = keys if rule.required is None else rule.required
            optional |= rule.optional
    return tuple(key for key in keys if key not in optional)


def _findings(resource: Resource, tags: Mapping[str, str], policy: Policy) -> list[Finding]:
    wanted = _wanted(policy, resource.type, resource.is_ours)
    findings = []
    for key in wanted:
        value = tags.get(key)
        if value is None:
            findings.append(_missing(key, tags, wanted))
        elif finding := _value_finding(key, value, resource, policy):
            findings.append(finding)
    for key in policy.tags:
        if (
            key not in wanted
            and key in tags
            and (finding := _value_finding(key, tags[key], resource, policy))
        ):
            findings.append(finding)
    return findings


def _missing(key: str, tags: Mapping[str, str], wanted: Iterable[str]) -> Finding:
    near = near_miss(key, tags, wanted)
    if near is None:
        return _absent(key)
    return Finding(
        key,
        Problem.NEAR_MISS,
        f"has the tag {near} where {key} is meant",
        found=near,
        suggestion=key,
    )


@lru_cache(maxsize=256)
def _absent(key: str) -> Finding:
    """One value for all resources that lack a key."""
    return Finding(key, Problem.MISSING, f"has no tag {key}")


def _value_finding(key: str, value: str, resource: Resource, policy: Policy) -> Finding | None:
    rule = policy.tags.get(key)
    right = stack_value(rule, resource)
    if value == "":
        return Finding(key, Problem.EMPTY, f"has an empty {key}", value, right)
    if is_blank(value):
        return Finding(key, Problem.BLANK, f"has a blank {key}", value, right)
    if rule is None:
        return None
    if right is not None:
        if value != right:
            text = f"has {key} {value!r}, its stack says {right!r}"
            return Finding(key, Problem.NOT_ALLOWED, text, value, right)
        return None
    if rule.values and value not in rule.values:
        near = next((one for one in rule.values if _plain(one) == _plain(value)), None)
        text = f"has {key} {value!r}, allowed is {_list(rule.values)}"
        return Finding(key, Problem.NOT_ALLOWED, text, value, near)
    if rule.pattern is not None and rule.pattern.fullmatch(value) is None:
        text = f"has {key} {value!r}, which is not of the form {rule.pattern.pattern}"
        return Finding(key, Problem.NOT_ALLOWED, text, value)
    return None


def near_miss(key: str, tags: Mapping[str, str], wanted: Iterable[str] = ()) -> str | None:
    """The tag that was surely meant for a key: another case, other separators, or one slip.

    A slip is one letter too many, too few, wrong, or two in the wrong order, and counts only in
    words of five letters and more. A key that the policy wants itself is nobody's slip.
    """
    if not tags:
        return None
    plain = _plain(key)
    others = [one for one in tags if one not in wanted and not is_system(one)]
    for other in others:
        if _plain(other) == plain:
            return other
    return next((other for other in others if _is_one_slip(_plain(other), plain)), None)


def is_system(key: str) -> bool:
    """Whether a key is AWS's own."""
    return key[: len(SYSTEM_PREFIX)].lower() == SYSTEM_PREFIX


@lru_cache(maxsize=4096)
def _plain(key: str) -> str:
    return "".join(character for character in key.casefold() if character not in " _-.:/")


def _is_one_slip(left: str, right: str) -> bool:
    if abs(len(left) - len(right)) > 1 or max(len(left), len(right)) < 5 or left == right:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )
    one, other = left[start:], right[start:]
    return (
        one[1:] == other[1:]
        or one[1:] == other
        or one == other[1:]
        or (one[:2] == other[1::-1] and one[2:] == other[2:])
    )


def _expired(exemption: Exemption, policy: Policy) -> Finding:
    return Finding(
        "",
        Problem.EXPIRED_EXEMPTION,
        f"its exemption ({exemption.reason}) ended on {exemption.expires.isoformat()}: "
        f"{exemption.owner} must mend the tags or renew it, {policy.name} line {exemption.line}",
        found=exemption.expires.isoformat(),
    )


def _list(values: tuple[str, ...]) -> str:
    quoted = [repr(value) for value in values[:10]]
    more = f" or one of {len(values) - 10} more" if len(values) > 10 else ""
    return " or ".join(quoted) + more
