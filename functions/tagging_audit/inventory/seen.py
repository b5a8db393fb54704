"""The union: what was seen of each resource, by whom, and what nobody could see.

It is filled by several threads, and can be written down and taken up again, so that an audit can
go on in another invocation.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from tagging_audit.kinds import GLOBAL, described, refusal_of, route_of, tidy
from tagging_audit.resource import Resource, Source, TagRoute

_TRUST = {
    Source.SERVICE: 4,
    Source.LIST: 3,
    Source.ENVIRONMENT: 3,
    Source.EVENT: 2,
    Source.TAGGING_API: 1,
    Source.EXPLORER: 0,
}
"""Whose word on tags holds where two differ: the service's own before an index."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A question that was not answered, and what stays unseen for it."""

    text: str
    region: str
    types: tuple[str, ...]
    """The types of which some resources may be unseen; none where it cannot be said."""


@dataclass(slots=True)
class Seen:
    """One resource, as far as it was seen."""

    type: str
    region: str | None
    sources: tuple[Source, ...] = ()
    tags: Mapping[str, str] | None = None
    tags_by: Source | None = None
    created: datetime | None = None
    logical_id: str | None = None
    is_ours: bool = False
    tier: str | None = None
    trouble: str | None = None


class Union:
    """Resources by ARN, and the calls that were made for them."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._refusals: dict[str, str] = {}
        """Why just this resource can carry no tags; it may not be seen yet."""
        self._ended: set[str] = set()
        """What its own service says is there no longer; an index may still show it."""
        self._lock = threading.Lock()
        self.listed: set[tuple[str, str]] = set()
        """Types and Regions whose list call came to its end."""
        self.scanned: set[str] = set()
        """Regions in which the tagging API was read to its end."""
        self.searched: set[str] = set()
        """Regions whose Resource Explorer was asked for what has no tags, to the end."""
        self.unsearched: dict[str, str] = {}
        """Why Resource Explorer did not answer, by Region; an audit can do without it."""
        self.skipped: dict[str, tuple[str, ...]] = {}
        """Services that nothing was listed of, by Region."""
        self.troubles: list[Trouble] = []
        self._expected: dict[str, Trouble] = {}
        """How the ARN of something ends that is there, and what it means if nobody shows it."""

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, arn: str) -> bool:
        return tidy(arn) in self._seen

    def add(
        self,
        arn: str,
        source: Source,
        *,
        region: str,
        tags: Mapping[str, str] | None = None,
        type_: str | None = None,
        created: datetime | None = None,
        logical_id: str | None = None,
        is_ours: bool = False,
        tier: str | None = None,
        refusal: str | None = None,
    ) -> None:
        """Add what one source knows. `region` is the Region that was asked."""
        arn = tidy(arn)
        with self._lock:
            if arn in self._ended:
                return
            seen = self._seen.get(arn)
            if seen is None:
                kind, home = described(arn)
                seen = self._seen[arn] = Seen(intern(type_ or kind), intern(home or region))
            if source not in seen.sources:
                seen.sources = _joined(seen.sources, source)
            if tags is not None and (
                seen.tags_by is None or _TRUST[source] >= _TRUST[seen.tags_by]
            ):
                seen.tags, seen.tags_by, seen.trouble = _slim(tags), source, None
            seen.created = seen.created or created
            seen.logical_id = seen.logical_id or logical_id
            seen.is_ours = seen.is_ours or is_ours
            seen.tier = seen.tier or tier
            if refusal is not None:
                self._refusals[arn] = refusal

    def refuse(self, arn: str, why: str) -> None:
        """Say why a resource can carry no tags, whether it was seen already or not."""
        with self._lock:
            self._refusals[tidy(arn)] = why

    def drop(self, arn: str) -> None:
        """Forget a resource that is gone."""
        with self._lock:
            self._seen.pop(tidy(arn), None)

    def end(self, arn: str) -> None:
        """Forget a resource, whoever may show it later: its service says that it has ended."""
        with self._lock:
            self._ended.add(tidy(arn))
            self._seen.pop(tidy(arn), None)

    def has_none(self, arn: str) -> None:
        """Say that a resource has no tags: nobody who would know of any named one."""
        with self._lock:
            self._seen[tidy(arn)].tags = {}

    def could_not_read(self, arn: str, why: str) -> None:
        """Say why the tags of a resource are not known."""
        with self._lock:
            seen = self._seen[tidy(arn)]
            if seen.tags is None:
                seen.trouble = why

    def fail(self, trouble: Trouble) -> None:
        """Remember a question that was not answered."""
        with self._lock:
            if trouble not in self.troubles:
                self.troubles.append(trouble)

    def expect(self, ending: str, otherwise: Trouble) -> None:
        """Remember that there is a resource whose ARN ends so, though it was not shown yet."""
        with self._lock:
            self._expected[ending] = otherwise

    def settle(self) -> None:
        """Say of what was expected and never shown that it was not."""
        for ending, trouble in self._expected.items():
            if not any(arn.endswith(ending) for arn in self._seen):
                self.fail(trouble)
        self._expected.clear()

    def without_tags(self, region: str) -> list[tuple[str, Seen]]:
        """The resources of a Region whose tags no source told, and that could carry some."""
        return [
            (arn, seen)
            for arn, seen in self._seen.items()
            if seen.tags is None
            and seen.trouble is None
            and arn not in self._refusals
            and seen.region in (region, GLOBAL)
            and route_of(seen.type) is not TagRoute.NOBODY
        ]

    def types(self) -> set[tuple[str, str]]:
        """The types that something was seen of, with their Regions."""
        return {(seen.type, seen.region or GLOBAL) for seen in self._seen.values()}

    def arns(self) -> Iterable[str]:
        return self._seen.keys()

    def resources(self) -> Iterator[Resource]:
        """Everything that was seen, in the order of the ARNs, as values to judge."""
        for arn in sorted(self._seen):
            yield self.resource(arn)

    def drain(self) -> Iterator[Resource]:
        """The same, each forgotten when it is handed out: what is judged is not needed twice."""
        for arn in sorted(self._seen):
            yield self.resource(arn)
            del self._seen[arn]

    def resource(self, arn: str) -> Resource:
        """One resource as a value to judge."""
        seen = self._seen[arn]
        refusal = self._refusals.get(arn)
        return Resource(
            arn=arn,
            type=seen.type,
            region=seen.region or GLOBAL,
            tags=seen.tags,
            sources=seen.sources,
            route=TagRoute.NOBODY if refusal else route_of(seen.type),
            created=seen.created,
            logical_id=seen.logical_id,
            is_ours=seen.is_ours,
            tier=seen.tier,
            trouble=seen.trouble,
            refusal=refusal or refusal_of(seen.type),
        )

    # Written down and taken up again.

    def to_json(self) -> dict[str, Any]:
        return {
            "seen": {
                arn: [
                    seen.type,
                    seen.region,
                    list(seen.sources),
                    seen.tags,
                    seen.tags_by,
                    seen.created.isoformat() if seen.created else None,
                    seen.logical_id,
                    seen.is_ours,
                    seen.tier,
                    seen.trouble,
                ]
                for arn, seen in self._seen.items()
            },
            "refusals": dict(self._refusals),
            "ended": sorted(self._ended),
            "listed": sorted(self.listed),
            "scanned": sorted(self.scanned),
            "searched": sorted(self.searched),
            "unsearched": dict(self.unsearched),
            "skipped": {region: list(names) for region, names in self.skipped.items()},
            "troubles": [_written(one) for one in self.troubles],
            "expected": {ending: _written(one) for ending, one in self._expected.items()},
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Union:
        union = cls()
        for arn, row in written["seen"].items():
            kind, region, sources, tags, tags_by, created, *rest = row
            union._seen[arn] = Seen(
                intern(kind),
                region,
                tuple(Source(one) for one in sources),
                None if tags is None else _slim(tags),
                Source(tags_by) if tags_by else None,
                datetime.fromisoformat(created) if created else None,
                *rest,
            )
        union._refusals = dict(written["refusals"])
        # An audit that an earlier version began has none.
        union._ended = set(written.get("ended", ()))
        union.listed = {(kind, region) for kind, region in written["listed"]}
        union.scanned = set(written["scanned"])
        union.searched = set(written["searched"])
        union.unsearched = dict(written["unsearched"])
        union.skipped = {region: tuple(names) for region, names in written["skipped"].items()}
        union.troubles = [_read(one) for one in written["troubles"]]
        union._expected = {ending: _read(one) for ending, one in written["expected"].items()}
        return union


def _written(trouble: Trouble) -> list[Any]:
    return [trouble.text, trouble.region, list(trouble.types)]


def _read(written: list[Any]) -> Trouble:
    text, region, types = written
    return Trouble(text, region, tuple(types))


_JOINED: dict[tuple[tuple[Source, ...], Source], tuple[Source, ...]] = {}


def _joined(sources: tuple[Source, ...], source: Source) -> tuple[Source, ...]:
    """One tuple for all resources that the same sources saw."""
    return _JOINED.setdefault((sources, source), (*sources, source))


def _slim(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags with every text kept once, however many resources carry it."""
    return {intern(key): intern(value) for key, value in tags.items()}
