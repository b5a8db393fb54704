"""What the ledger keeps of environments, deployments and audits; releases are in `trellis.ledger`.

Apart from it, since each of these costs a cold start half a millisecond and most of those that are
cold want a release: the ledger loads them when it is asked for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGood:
    """The last version of an environment that was deployed and did well to the end of its bake."""

    environment: str
    revision: str
    version_label: str
    execution_id: str
    since: datetime
    pipeline_version: int | None = None
    """The pipeline's structure version: RollbackStage takes no target of an older one."""
    bundle_bucket: str | None = None
    bundle_key: str | None = None
    """Where the copy of its source bundle stands that does not expire."""
    bundle_version: str | None = None
    summary: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """A revision that turned out bad in an environment, and why."""

    environment: str
    revision: str
    reason: str
    execution_id: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRollback:
    """One rollback that was begun; those of the window are counted against the cap."""

    environment: str
    watch_id: str
    at: datetime
    bad_revision: str | None = None
    good_revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who watches a deployment. One Deploy action execution has one watch."""

    action_execution_id: str
    holder: str
    environment: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWatch:
    """A watch that has not ended; whoever holds it may be dead."""

    pipeline: str
    stage: str
    action: str
    execution_id: str
    action_execution_id: str
    environment: str
    holder: str
    at: datetime
    tries: int = 1
    """How many have held it: a watch that always dies is not begun for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """The way back that a watch took, written down before it is taken."""

    action_execution_id: str
    route: str
    """One of `trellis.events.RollbackRoute`."""
    target: str
    """The execution that RollbackStage goes to, or the version label that is deployed."""
    revision: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """Who is changing an environment. Two rollbacks of one environment at once are one too many."""

    environment: str
    holder: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A bad release that is marked as not safe to roll back, until a person decides."""

    environment: str
    pipeline: str
    stage: str
    execution_id: str
    action_execution_id: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """An inbound transition that we disabled; only what still looks as we left it is undone."""

    pipeline: str
    stage: str
    reason: str
    execution_id: str
    watch_id: str
    """Who closed it: a watch, by its deployment's action execution, or `by hand`."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A resource whose tags are looked at again when its grace is over."""

    scope: str
    arn: str
    order: str
    """Tells the reasons to look apart, and grows with the truth: a tag event's version."""
    due: datetime
    tags: tuple[tuple[str, str], ...] | None = None
    """The tags that an event named; None where nobody named any."""
