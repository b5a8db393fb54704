"""From resources and verdicts to a report: counted, compared, and honest about its blind spots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from tagging_audit.inventory.seen import Trouble, Union
from tagging_audit.judging import Settings, is_fresh, judged
from tagging_audit.kinds import GLOBAL, Place, pattern_of, region_of, type_of
from tagging_audit.policy import Finding, Policy, Problem
from tagging_audit.policy_file import expired
from tagging_audit.resource import Resource, Source
from trellis.arn import partition_of
from trellis.events import Verdict

OWNER_KEYS = ("Owner", "owner", "Team", "team")
"""The tags that say whom a resource belongs to; the first that is there counts."""

_NOT_OF_THE_TAGGING_API = ("AWS::CloudWatch::Dashboard", "AWS::IAM::")
"""Types of which the tagging API shows nothing, tagged or not."""

type Key = tuple[str, str, str]
"""A finding's identity: the ARN, the tag, the problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One resource in the report."""

    arn: str
    type: str
    region: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    owner: str | None = None
    sources: tuple[Source, ...] = ()
    logical_id: str | None = None
    is_fresh: bool = False
    """It is so new that it is looked at again before anybody is told of it."""
    remedied: tuple[str, ...] = ()
    """The keys that this very audit added."""

    def keys(self) -> Iterable[Key]:
        return ((self.arn, one.tag, one.problem.value) for one in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How well one type was seen in one Region."""

    type: str
    region: str
    verdicts: Mapping[Verdict, int]
    seen_by: tuple[Source, ...]
    is_complete: bool
    """Nothing of this type can have stayed unseen."""
    note: str | None = None

    @property
    def resources(self) -> int:
        return sum(self.verdicts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A tag that was added, would be added, or could not be."""

    arn: str
    key: str
    value: str
    is_done: bool = False
    error: str | None = None
    drift: str | None = None
    """What the change means for the template that the resource comes from."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is new and what is mended since the last audit of the same scope."""

    since: str | None = None
    """That audit's id; None where this is the first."""
    new: tuple[Key, ...] = ()
    resolved: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One audit."""

    audit_id: str
    scope: str
    account: str
    regions: tuple[str, ...]
    trigger: str
    at: datetime
    policy: Policy
    rows: Sequence[Row]
    stack: str | None = None
    seconds: float = 0.0
    requests: int = 0
    coverage: Sequence[Coverage] = ()
    troubles: Sequence[Trouble] = ()
    notes: Sequence[str] = ()
    difference: Difference = field(default_factory=Difference)
    remedy: str = "off"
    changes: Sequence[Change] = ()
    counts: Mapping[Verdict, int] = field(init=False)
    problems: Mapping[Problem, int] = field(init=False)

    def __post_init__(self) -> None:
        verdicts = Counter(row.verdict for row in self.rows)
        problems = Counter(one.problem for row in self.rows for one in row.findings)
        object.__setattr__(self, "counts", {verdict: verdicts[verdict] for verdict in Verdict})
        object.__setattr__(self, "problems", {one: problems[one] for one in Problem})

    @property
    def findings(self) -> int:
        return sum(self.problems.values())

    @property
    def is_whole(self) -> bool:
        """Whether the audit read all that it set out to read."""
        return not self.troubles


def row(resource: Resource, settings: Settings) -> Row:
    """A resource's line in the report."""
    judgement = judged(resource, settings)
    return Row(
        arn=resource.arn,
        type=resource.type,
        region=resource.region,
        verdict=judgement.verdict,
        findings=judgement.findings,
        reason=judgement.reason,
        owner=owner_of(resource.tags),
        sources=resource.sources,
        logical_id=resource.logical_id,
        is_fresh=judgement.verdict is Verdict.UNKNOWN
        and resource.tags is not None
        and is_fresh(resource, settings),
    )


def owner_of(tags: Mapping[str, str] | None) -> str | None:
    """Whom a resource belongs to, by its tags."""
    for key in OWNER_KEYS:
        if tags and (value := tags.get(key, "").strip()):
            return value
    return None


def unread_rows(union: Union, account: str) -> list[Row]:
    """A line for each type of which some resources could not be read: all that are not listed."""
    rows = {}
    for trouble in union.troubles:
        for type_ in trouble.types:
            region = trouble.region
            place = Place(partition_of(region if region != GLOBAL else ""), region, account)
            arn = pattern_of(type_, place)
            rows[arn] = Row(
                arn=arn,
                type=type_,
                region=region,
                verdict=Verdict.UNKNOWN,
                reason=f"unreadable: {trouble.text}",
            )
    return list(rows.values())


def coverage(union: Union, rows: Iterable[Row], *, is_account: bool) -> list[Coverage]:
    """A line for each type and Region: what is there, who saw it, what may have stayed unseen."""
    verdicts: dict[tuple[str, str], Counter[Verdict]] = {}
    sources: dict[tuple[str, str], dict[Source, None]] = {}
    grouped = Counter(
        (one.type, one.region, one.sources, None if is_pattern(one) else one.verdict)
        for one in rows
    )
    for (type_, region, seen_by, verdict), number in grouped.items():
        place = (type_, region)
        counted = verdicts.setdefault(place, Counter())
        if verdict is not None:
            counted[verdict] += number
        sources.setdefault(place, {}).update(dict.fromkeys(seen_by))
    for place in union.listed:
        verdicts.setdefault(place, Counter())
    lines = []
    for (type_, region), counted in sorted(verdicts.items()):
        note = _blind_spot(union, type_, region, is_account=is_account)
        lines.append(
            Coverage(
                type=type_,
                region=region,
                verdicts={verdict: counted[verdict] for verdict in Verdict},
                seen_by=tuple(sources.get((type_, region), ())) or (Source.LIST,),
                is_complete=note is None,
                note=note,
            )
        )
    return lines


def is_pattern(row: Row) -> bool:
    """Whether a line stands for resources that could not be listed, not for one."""
    return row.arn.endswith("*") and not row.sources


def _blind_spot(union: Union, type_: str, region: str, *, is_account: bool) -> str | None:
    for trouble in union.troubles:
        if trouble.region == region and type_ in trouble.types:
            return f"unreadable: {trouble.text}"
    for trouble in union.troubles:
        if not trouble.types and (trouble.region == region or region == GLOBAL):
            return f"not read to the end: {trouble.text}"
    if not is_account or (type_, region) in union.listed or region in union.searched:
        return None
    if type_.startswith(_NOT_OF_THE_TAGGING_API):
        return "only what this stack declares is seen"
    return "only what is tagged, or once was, is seen"


def notes(union: Union, policy: Policy, now: datetime) -> list[str]:
    """What a reader should know beside the verdicts."""
    found = list(expired(policy, now))
    for region, services in sorted(union.skipped.items()):
        if region not in union.searched:
            found.append(
                f"{region}: nothing was listed of {', '.join(services)}, since no tagged resource "
                "shows that they are in use; name them under services in the policy to list them "
                "all the same"
            )
    for region, why in sorted(union.unsearched.items()):
        found.append(
            f"{region}: Resource Explorer was not asked for what has no tags ({why}); "
            "types without a list call are seen only where they are tagged, or once were"
        )
    return found


def compare(
    rows: Iterable[Row],
    previous: Mapping[str, Sequence[tuple[str, str]]] | None,
    since: str | None,
    unread: Set[tuple[str, str]],
    newer: Set[str] = frozenset(),
) -> Difference:
    """What changed since the last audit, whose findings `previous` has by ARN.

    What is unknown now is neither new nor mended. `unread` are the types and Regions of which some
    resources may be unseen: what is not there any more may just not have been read. `newer` are
    the ARNs of which `previous` knows more than these rows: they have been told of.
    """
    if previous is None:
        return Difference()
    now: set[Key] = set()
    known: dict[str, Verdict] = {}
    for one in rows:
        known[one.arn] = one.verdict
        now.update(one.keys())
    before = {(arn, tag, problem) for arn, found in previous.items() for tag, problem in found}

    def is_settled(arn: str) -> bool:
        if arn in newer:
            return False
        if arn in known:
            return known[arn] is not Verdict.UNKNOWN
        return not any(
            type_of(arn) == type_ and region_of(arn) in (region, None) for type_, region in unread
        )

    return Difference(
        since,
        new=tuple(sorted(key for key in now - before if key[0] not in newer)),
        resolved=tuple(sorted(key for key in before - now if is_settled(key[0]))),
    )


def remembered(
    rows: Iterable[Row],
    previous: Mapping[str, Sequence[tuple[str, str]]] | None,
    newer: Set[str] = frozenset(),
) -> dict[str, list[tuple[str, str]]]:
    """The findings that the next audit compares with.

    They are these, and those that `previous` has of what is unknown now or of which it is `newer`.
    """
    kept: dict[str, list[tuple[str, str]]] = {}
    for arn in newer:
        if previous and arn in previous:
            kept[arn] = [(tag, problem) for tag, problem in previous[arn]]
    for one in rows:
        if one.arn in newer:
            continue
        if one.verdict is Verdict.UNKNOWN:
            if previous and one.arn in previous:
                kept[one.arn] = [(tag, problem) for tag, problem in previous[one.arn]]
        elif one.findings:
            kept[one.arn] = [(found.tag, found.problem.value) for found in one.findings]
    return kept
