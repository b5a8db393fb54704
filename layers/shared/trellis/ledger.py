"""What the functions remember: the one room that knows the ledger's keys.

One table, partition key `pk`, sort key `sk`, expiry `expires_at` (seconds since 1970). Every item
carries `schema`, a whole number: a reader refuses an item of a newer schema than its own, and
fields are only ever added within one. Times are ISO 8601 in UTC with microseconds, so that text
order is time order.

    pk                              sk                              what stands there
    environment#<name>              known-good                      the version to go back to
    environment#<name>              quarantine#<revision>           a revision never to go back to
    environment#<name>              rollback#<time>#<watch>         one rollback, for the cap
    environment#<name>              label#<version label>           the revision under a label
    environment#<name>              helm                            who is changing it now
    environment#<name>              hold                            a release that a person decides
    claim#<action execution id>     watch                           who watches a deployment
    claim#<action execution id>     act                             the way back that was taken
    pipeline#<name>                 watch#<action execution id>     a watch that has not ended
    pipeline#<name>                 freeze#<stage>                  a transition that we disabled
    pipeline#<name>                 failing#<time>#<execution>      a failed run, not recovered yet
    pipeline#<name>                 recovered                       the last run that succeeded
    pipeline#<name>                 incident#<stage>#<key>          a page that is still open
    release#<pipeline>#<execution>  seen#<subject>                  the newest state that was seen
    release#<pipeline>#<execution>  bake#<environment>              how a deployment does
    release#<pipeline>#<execution>  message#<fact>#<channel>        a message: on its way, or sent
    happening#<key>                 message#<fact>#<channel>        the same, outside of releases
    happening#<key>                 mark#<bad or well>              when it was last told to be so
    page#<key>                      mark#<opened or ended>          the newest event that did so
    audit#<scope>                   look#<arn>#<order>              a resource to look at again
    audit#<scope>                   look-call                       the call for it, on its way

Repeats and races are normal: whoever writes does so under a condition, and what another has
written first is returned instead of overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from trellis.errors import LedgerError, SchemaError
from trellis.table import Item, Table, Value

if TYPE_CHECKING:  # loaded by whoever asks for one
    from trellis.records import (
        Act,
        Claim,
        Freeze,
        Helm,
        Hold,
        KnownGood,
        Look,
        OpenWatch,
        PastRollback,
        Quarantine,
    )

SCHEMA = 1

_RELEASE_KEPT = timedelta(days=90)
_ROLLBACK_KEPT = timedelta(days=90)
_CLAIM_KEPT = timedelta(days=60)
_LOOK_KEPT = timedelta(days=7)
_CALL_LOST = timedelta(minutes=30)
_LABEL_KEPT = timedelta(days=760)
"""Longer than the longest rollback horizon."""

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bake:
    """How a deployment does after its action succeeded; the newest word wins."""

    pipeline: str
    execution_id: str
    environment: str
    state: str
    """One of `trellis.events.BakeState`."""
    reason: str
    at: datetime
    until: datetime | None = None
    health: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The newest state of a release, one of its stages or one of its actions."""

    pipeline: str
    execution_id: str
    subject: str
    """`pipeline`, `stage/<stage>`, `action/<stage>/<action>` or `rollback/<stage>`."""
    state: str
    order: str
    """Text that grows with the truth: of two sightings the greater one is the newer."""
    at: datetime
    attempt: int = 1
    details: tuple[tuple[str, str], ...] = ()
    """What the event said beyond its state: reason, category, url, trigger, revision."""

    def detail(self, name: str) -> str | None:
        return dict(self.details).get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """A run that failed and that no later run has made good."""

    pipeline: str
    execution_id: str
    stage: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A page that stands open for a stage until the stage succeeds again; a stage may have two."""

    pipeline: str
    stage: str
    key: str
    at: datetime


class Progress(StrEnum):
    """How far a message has come."""

    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    """The other side said no: it was surely not delivered."""
    UNKNOWN = "unknown"
    """Nobody can say whether it was delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One fact on one channel: who is telling it, and whether it was told."""

    about: str
    """The partition: `release#…` or `happening#…`; see `about_release` and `about_happening`."""
    fact: str
    channel: str
    progress: Progress
    owner: str
    """The invocation that is sending it."""
    until: datetime
    """When a sender that says no more is taken for dead."""
    version: int = 1
    attempts: int = 1
    may_repeat: bool = False
    """An earlier try may have been delivered."""
    message_id: str | None = None
    content: str | None = None
    """What the message named, so that only what is new is told again."""


def about_release(pipeline: str, execution_id: str) -> str:
    """The partition of everything about one pipeline execution."""
    return f"release#{pipeline}#{execution_id}"


def about_happening(key: str) -> str:
    """The partition of something outside of a release: an alarm, an environment, an audit."""
    return f"happening#{key}"


def about_page(key: str) -> str:
    """The partition of an incident, by the key that opens and ends it."""
    return f"page#{key}"


class Ledger:
    """What the functions remember about environments, pipelines and releases."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # Environments: what is good, what is bad, how often we went back.

    def known_good(self, environment: str) -> KnownGood | None:
        """The version to go back to, or None where no deployment has proven itself yet."""
        from trellis.records import KnownGood

        item = self._get(f"environment#{environment}", "known-good")
        if item is None:
            return None
        return KnownGood(
            environment=environment,
            revision=_text(item, "revision"),
            version_label=_text(item, "version_label"),
            execution_id=_text(item, "execution_id"),
            since=_time(item, "since"),
            pipeline_version=_whole(item, "pipeline_version"),
            bundle_bucket=_maybe(item, "bundle_bucket"),
            bundle_key=_maybe(item, "bundle_key"),
            bundle_version=_maybe(item, "bundle_version"),
            summary=_maybe(item, "summary"),
        )

    def set_known_good(self, good: KnownGood) -> bool:
        """Make a version the one to go back to, unless a newer one already is."""
        return self._table.advance(
            _stamped(
                f"environment#{good.environment}",
                "known-good",
                order=_iso(good.since),
                since=_iso(good.since),
                revision=good.revision,
                version_label=good.version_label,
                execution_id=good.execution_id,
                pipeline_version=good.pipeline_version,
                bundle_bucket=good.bundle_bucket,
                bundle_key=good.bundle_key,
                bundle_version=good.bundle_version,
                summary=good.summary,
            )
        )

    def quarantine(self, bad: Quarantine) -> None:
        """Mark a revision as bad; the first reason stays."""
        self._table.create(
            _stamped(
                f"environment#{bad.environment}",
                f"quarantine#{bad.revision}",
                revision=bad.revision,
                reason=bad.reason,
                execution_id=bad.execution_id,
                since=_iso(bad.since),
            )
        )

    def quarantined(self, environment: str) -> dict[str, Quarantine]:
        """The bad revisions of an environment, by revision."""
        from trellis.records import Quarantine

        return {
            _text(item, "revision"): Quarantine(
                environment=environment,
                revision=_text(item, "revision"),
                reason=_text(item, "reason"),
                execution_id=_text(item, "execution_id"),
                since=_time(item, "since"),
            )
            for item in self._query(f"environment#{environment}", "quarantine#")
        }

    def lift_quarantine(self, environment: str, revision: str) -> None:
        """Let a revision be deployed and gone back to again."""
        self._table.delete(f"environment#{environment}", f"quarantine#{revision}")

    def forgive(self, environment: str, revision: str) -> None:
        """Let a revision be rolled back once more: what was remembered of it is blotted out.

        The rollbacks themselves still count against the cap.
        """
        for item in self._query(f"environment#{environment}", "rollback#"):
            if item.get("bad_revision") == revision:
                kept = {key: value for key, value in item.items() if key != "bad_revision"}
                self._table.put(kept)

    def count_rollback(self, past: PastRollback) -> None:
        """Remember that a rollback was begun; the same watch counts once however often it says."""
        self._table.put(
            _stamped(
                f"environment#{past.environment}",
                f"rollback#{_iso(past.at)}#{past.watch_id}",
                watch_id=past.watch_id,
                at=_iso(past.at),
                bad_revision=past.bad_revision,
                good_revision=past.good_revision,
                expires_at=_expiry(past.at, _ROLLBACK_KEPT),
            )
        )

    def rollbacks(self, environment: str, since: datetime) -> list[PastRollback]:
        """The rollbacks of an environment from a time on, oldest first, one for each watch."""
        from trellis.records import PastRollback

        found = {
            _text(item, "watch_id"): PastRollback(
                environment=environment,
                watch_id=_text(item, "watch_id"),
                at=_time(item, "at"),
                bad_revision=_maybe(item, "bad_revision"),
                good_revision=_maybe(item, "good_revision"),
            )
            for item in self._query(f"environment#{environment}", "rollback#")
        }
        return [past for past in found.values() if past.at >= since]

    # Deployments: one watch each.

    def claim(self, claim: Claim) -> Claim:
        """Claim a deployment for one watch and return the claim that holds.

        The caller has it when the returned holder is its own: also when it claims again after a
        crash.
        """
        standing = self._table.create(
            _stamped(
                f"claim#{claim.action_execution_id}",
                "watch",
                holder=claim.holder,
                environment=claim.environment,
                at=_iso(claim.at),
                version=1,
                expires_at=_expiry(claim.at, _CLAIM_KEPT),
            )
        )
        if standing is None:
            return claim
        _check(standing)
        return replace(claim, holder=_text(standing, "holder"), at=_time(standing, "at"))

    def claimed(self, action_execution_id: str) -> Claim | None:
        """The claim on a deployment, if there is one."""
        from trellis.records import Claim

        item = self._get(f"claim#{action_execution_id}", "watch")
        if item is None:
            return None
        return Claim(
            action_execution_id=action_execution_id,
            holder=_text(item, "holder"),
            environment=_text(item, "environment"),
            at=_time(item, "at"),
        )

    def take_over(self, claim: Claim, dead: str) -> Claim:
        """Take a deployment's watch over from a holder that is dead; returns the claim that holds.

        Of several that try, one gets it.
        """
        key = f"claim#{claim.action_execution_id}"
        standing = self._get(key, "watch")
        if standing is None:
            return self.claim(claim)
        found = replace(claim, holder=_text(standing, "holder"), at=_time(standing, "at"))
        if found.holder != dead:
            return found
        version = _whole(standing, "version") or 1
        taken = {
            **standing,
            "holder": claim.holder,
            "at": _iso(claim.at),
            "version": version + 1,
            "expires_at": _expiry(claim.at, _CLAIM_KEPT),
        }
        if self._table.replace(taken, version):
            return claim
        return self.take_over(claim, dead)

    def open_watch(self, watch: OpenWatch) -> None:
        """Remember a watch until it is closed, so that one that dies is found."""
        self._table.put(
            _stamped(
                f"pipeline#{watch.pipeline}",
                f"watch#{watch.action_execution_id}",
                stage=watch.stage,
                action=watch.action,
                execution_id=watch.execution_id,
                action_execution_id=watch.action_execution_id,
                environment=watch.environment,
                holder=watch.holder,
                tries=watch.tries,
                at=_iso(watch.at),
                expires_at=_expiry(watch.at, _CLAIM_KEPT),
            )
        )

    def open_watches(self, pipeline: str) -> list[OpenWatch]:
        """The watches of a pipeline that have not ended."""
        from trellis.records import OpenWatch

        return [
            OpenWatch(
                pipeline=pipeline,
                stage=_text(item, "stage"),
                action=_text(item, "action"),
                execution_id=_text(item, "execution_id"),
                action_execution_id=_text(item, "action_execution_id"),
                environment=_text(item, "environment"),
                holder=_text(item, "holder"),
                at=_time(item, "at"),
                tries=_whole(item, "tries") or 1,
            )
            for item in self._query(f"pipeline#{pipeline}", "watch#")
        ]

    def close_watch(self, pipeline: str, action_execution_id: str) -> None:
        """Forget a watch that ended."""
        self._table.delete(f"pipeline#{pipeline}", f"watch#{action_execution_id}")

    def begin_act(self, act: Act) -> Act:
        """Write down the way back before it is taken, and return the one that stands.

        Another one stands where a watch that died had begun it: then its truth is looked up first.
        """
        standing = self._table.create(
            _stamped(
                f"claim#{act.action_execution_id}",
                "act",
                route=act.route,
                target=act.target,
                revision=act.revision,
                at=_iso(act.at),
                expires_at=_expiry(act.at, _CLAIM_KEPT),
            )
        )
        return act if standing is None else _act(act.action_execution_id, _check(standing))

    def act(self, action_execution_id: str) -> Act | None:
        """The way back that was begun for a deployment, if one was."""
        item = self._get(f"claim#{action_execution_id}", "act")
        return None if item is None else _act(action_execution_id, item)

    def drop_act(self, action_execution_id: str) -> None:
        """Forget a way back that surely was not taken."""
        self._table.delete(f"claim#{action_execution_id}", "act")

    # Environments again: labels, who steers, what is held.

    def set_revision(self, environment: str, label: str, revision: str, at: datetime) -> None:
        """Remember which revision a version label holds: CodePipeline makes a new one each time."""
        self._table.put(
            _stamped(
                f"environment#{environment}",
                f"label#{label}",
                label=label,
                revision=revision,
                at=_iso(at),
                expires_at=_expiry(at, _LABEL_KEPT),
            )
        )

    def revisions(self, environment: str) -> dict[str, str]:
        """The revisions of an environment's version labels that were seen, newest first."""
        found = sorted(
            self._query(f"environment#{environment}", "label#"),
            key=lambda item: _text(item, "at"),
            reverse=True,
        )
        return {_text(item, "label"): _text(item, "revision") for item in found}

    def take_helm(self, helm: Helm) -> Helm:
        """Begin to change an environment, and return who is changing it now."""
        standing = self._table.create(
            _stamped(
                f"environment#{helm.environment}", "helm", holder=helm.holder, at=_iso(helm.at)
            )
        )
        if standing is None:
            return helm
        _check(standing)
        return replace(helm, holder=_text(standing, "holder"), at=_time(standing, "at"))

    def helm(self, environment: str) -> Helm | None:
        """Who is changing an environment now, if anybody is."""
        from trellis.records import Helm

        item = self._get(f"environment#{environment}", "helm")
        if item is None:
            return None
        return Helm(environment=environment, holder=_text(item, "holder"), at=_time(item, "at"))

    def leave_helm(self, environment: str, holder: str) -> None:
        """Stop changing an environment; another's helm is left alone."""
        standing = self._get(f"environment#{environment}", "helm")
        if standing is not None and standing["holder"] == holder:
            self._table.delete(f"environment#{environment}", "helm")

    def set_hold(self, hold: Hold) -> None:
        """Remember a release that waits for a person."""
        self._table.put(
            _stamped(
                f"environment#{hold.environment}",
                "hold",
                pipeline=hold.pipeline,
                stage=hold.stage,
                execution_id=hold.execution_id,
                action_execution_id=hold.action_execution_id,
                reason=hold.reason,
                at=_iso(hold.at),
            )
        )

    def hold(self, environment: str) -> Hold | None:
        """The release that waits for a person, if one does."""
        from trellis.records import Hold

        item = self._get(f"environment#{environment}", "hold")
        if item is None:
            return None
        return Hold(
            environment=environment,
            pipeline=_text(item, "pipeline"),
            stage=_text(item, "stage"),
            execution_id=_text(item, "execution_id"),
            action_execution_id=_text(item, "action_execution_id"),
            reason=_text(item, "reason"),
            at=_time(item, "at"),
        )

    def release_hold(self, environment: str) -> None:
        """Forget a hold that a person decided."""
        self._table.delete(f"environment#{environment}", "hold")

    # Pipelines: what is frozen, what is failing.

    def freeze(self, freeze: Freeze) -> None:
        """Remember a transition that we disable."""
        self._table.put(
            _stamped(
                f"pipeline#{freeze.pipeline}",
                f"freeze#{freeze.stage}",
                stage=freeze.stage,
                reason=freeze.reason,
                execution_id=freeze.execution_id,
                watch_id=freeze.watch_id,
                at=_iso(freeze.at),
            )
        )

    def frozen(self, pipeline: str, stage: str) -> Freeze | None:
        """The freeze of a stage that is ours, if there is one."""
        from trellis.records import Freeze

        item = self._get(f"pipeline#{pipeline}", f"freeze#{stage}")
        if item is None:
            return None
        return Freeze(
            pipeline=pipeline,
            stage=stage,
            reason=_text(item, "reason"),
            execution_id=_text(item, "execution_id"),
            watch_id=_text(item, "watch_id"),
            at=_time(item, "at"),
        )

    def unfreeze(self, pipeline: str, stage: str) -> None:
        """Forget a freeze that was undone, by us or by a person."""
        self._table.delete(f"pipeline#{pipeline}", f"freeze#{stage}")

    def add_failed_run(self, run: FailedRun) -> None:
        """Remember that a run failed, so that the next success can say what it makes good."""
        self._table.put(
            _stamped(
                f"pipeline#{run.pipeline}",
                f"failing#{_iso(run.at)}#{run.execution_id}",
                execution_id=run.execution_id,
                stage=run.stage,
                at=_iso(run.at),
                expires_at=_expiry(run.at, _RELEASE_KEPT),
            )
        )

    def failed_runs(self, pipeline: str, until: datetime) -> list[FailedRun]:
        """The failed runs up to a time that no success came after, one for each execution."""
        recovered = self._get(f"pipeline#{pipeline}", "recovered")
        since = _time(recovered, "at") if recovered else datetime.min.replace(tzinfo=UTC)
        found = {
            _text(item, "execution_id"): FailedRun(
                pipeline=pipeline,
                execution_id=_text(item, "execution_id"),
                stage=_text(item, "stage"),
                at=_time(item, "at"),
            )
            for item in self._query(f"pipeline#{pipeline}", "failing#")
        }
        return [run for run in found.values() if since < run.at <= until]

    def recover(self, pipeline: str, at: datetime) -> None:
        """Remember a success: failures before it are made good, also those heard of later."""
        self._table.advance(
            _stamped(f"pipeline#{pipeline}", "recovered", order=_iso(at), at=_iso(at))
        )

    def open_incident(self, incident: Incident) -> None:
        """Remember a page that stands open; what opened it last counts."""
        self._table.advance(
            _stamped(
                f"pipeline#{incident.pipeline}",
                f"incident#{incident.stage}#{incident.key}",
                order=_iso(incident.at),
                stage=incident.stage,
                key=incident.key,
                at=_iso(incident.at),
            )
        )

    def incidents(self, pipeline: str, stage: str | None = None) -> list[Incident]:
        """The pages that stand open for a pipeline, or for one stage of it."""
        return [
            Incident(
                pipeline=pipeline,
                stage=_text(item, "stage"),
                key=_text(item, "key"),
                at=_time(item, "at"),
            )
            for item in self._query(
                f"pipeline#{pipeline}", "incident#" if stage is None else f"incident#{stage}#"
            )
        ]

    def close_incident(self, incident: Incident) -> None:
        """Forget a page that was resolved."""
        self._table.delete(
            f"pipeline#{incident.pipeline}", f"incident#{incident.stage}#{incident.key}"
        )

    def mark(self, about: str, mark: str, at: datetime) -> None:
        """Remember when something was so; an older time never covers a newer one."""
        self._table.advance(
            _stamped(
                about,
                f"mark#{mark}",
                order=_iso(at),
                at=_iso(at),
                expires_at=_expiry(at, _RELEASE_KEPT),
            )
        )

    def marked(self, about: str, mark: str) -> datetime | None:
        """When something was last so; None where it never was."""
        item = self._get(about, f"mark#{mark}")
        return None if item is None else _time(item, "at")

    # Releases: what was seen, what was told.

    def see(self, sighting: Sighting) -> bool:
        """Remember a state; False when the same or a newer one is known already."""
        return self._table.advance(
            _stamped(
                about_release(sighting.pipeline, sighting.execution_id),
                f"seen#{sighting.subject}",
                subject=sighting.subject,
                state=sighting.state,
                order=sighting.order,
                at=_iso(sighting.at),
                attempt=sighting.attempt,
                details={name: value for name, value in sighting.details},
                expires_at=_expiry(sighting.at, _RELEASE_KEPT),
            )
        )

    def sightings(self, pipeline: str, execution_id: str) -> list[Sighting]:
        """The newest state of everything in a release that was seen."""
        return [
            Sighting(
                pipeline=pipeline,
                execution_id=execution_id,
                subject=_text(item, "subject"),
                state=_text(item, "state"),
                order=_text(item, "order"),
                at=_time(item, "at"),
                attempt=_whole(item, "attempt") or 1,
                details=_pairs(item, "details"),
            )
            for item in self._query(about_release(pipeline, execution_id), "seen#")
        ]

    def set_bake(self, bake: Bake) -> bool:
        """Say how a deployment does; an older word never covers a newer one."""
        return self._table.advance(
            _stamped(
                about_release(bake.pipeline, bake.execution_id),
                f"bake#{bake.environment}",
                order=_iso(bake.at),
                environment=bake.environment,
                state=bake.state,
                reason=bake.reason,
                at=_iso(bake.at),
                until=_iso(bake.until) if bake.until else None,
                health=bake.health,
                expires_at=_expiry(bake.at, _RELEASE_KEPT),
            )
        )

    def bakes(self, pipeline: str, execution_id: str) -> list[Bake]:
        """How the deployments of a release do, one for each environment."""
        return [
            Bake(
                pipeline=pipeline,
                execution_id=execution_id,
                environment=_text(item, "environment"),
                state=_text(item, "state"),
                reason=_text(item, "reason"),
                at=_time(item, "at"),
                until=_time(item, "until") if item.get("until") else None,
                health=_maybe(item, "health"),
            )
            for item in self._query(about_release(pipeline, execution_id), "bake#")
        ]

    def message(self, about: str, fact: str, channel: str) -> Message | None:
        """How far a message has come."""
        item = self._get(about, f"message#{fact}#{channel}")
        return _message(item) if item else None

    def begin_message(self, message: Message, now: datetime) -> Message:
        """Take a message on to send it, and return how it stands.

        The caller may send it when the returned progress is `sending` and the owner its own;
        `may_repeat` then says whether an earlier try may have arrived. Otherwise it was sent
        already, or another is sending it.
        """
        wanted = replace(message, progress=Progress.SENDING, version=1)
        for _ in range(_TRIES):
            standing = self._table.create(_message_item(wanted, now))
            if standing is None:
                return wanted
            found = _message(_check(standing))
            is_mine = found.owner == message.owner
            is_alive = found.progress is Progress.SENDING and found.until > now
            if found.progress is Progress.SENT or (is_alive and not is_mine):
                return found
            # A sender that died may have been heard; one that was refused was not.
            died = found.progress is Progress.SENDING and not is_mine
            taken = replace(
                wanted,
                version=found.version + 1,
                attempts=found.attempts + 1,
                may_repeat=found.may_repeat or died or found.progress is Progress.UNKNOWN,
            )
            if self._table.replace(_message_item(taken, now), found.version):
                return taken
        raise LedgerError(f"too many senders want the message {message.fact!r}")

    def end_message(self, message: Message, now: datetime) -> None:
        """Write down how sending ended. Raises LedgerError when another took the message over."""
        ended = replace(message, version=message.version + 1)
        if not self._table.replace(_message_item(ended, now), message.version):
            raise LedgerError(
                f"the message {message.fact!r} on {message.channel} was taken over by another "
                "sender: it may have been sent twice"
            )

    # Tagging: what is looked at again.

    def await_look(self, look: Look) -> None:
        """Remember to look at a resource again; the same reason twice is one."""
        self._table.put(
            _stamped(
                f"audit#{look.scope}",
                f"look#{look.arn}#{look.order}",
                arn=look.arn,
                order=look.order,
                due=_iso(look.due),
                tags=None if look.tags is None else {key: value for key, value in look.tags},
                expires_at=_expiry(look.due, _LOOK_KEPT),
            )
        )

    def looks(self, scope: str) -> list[Look]:
        """What is to be looked at again; of one resource the newest reason comes last."""
        from trellis.records import Look

        return [
            Look(
                scope=scope,
                arn=_text(item, "arn"),
                order=_text(item, "order"),
                due=_time(item, "due"),
                tags=_pairs(item, "tags") if "tags" in item else None,
            )
            for item in self._query(f"audit#{scope}", "look#")
        ]

    def end_look(self, look: Look) -> None:
        """Forget just this reason to look: a newer one stays."""
        self._table.delete(f"audit#{look.scope}", f"look#{look.arn}#{look.order}")

    def call_look(self, scope: str, due: datetime, now: datetime) -> bool:
        """Whether the caller must see to it that somebody looks; False where a call is under way.

        A call that was not answered long after it was due is taken for lost.
        """
        call = _stamped(f"audit#{scope}", "look-call", due=_iso(due), version=1)
        for _ in range(_TRIES):
            standing = self._table.create(call)
            if standing is None:
                return True
            if _time(_check(standing), "due") + _CALL_LOST > now:
                return False
            version = _whole(standing, "version") or 1
            if self._table.replace({**call, "version": version + 1}, version):
                return True
        raise LedgerError(f"too many callers want a second look at the {scope}")

    def answer_look(self, scope: str) -> None:
        """The call has come: the next reason to look makes a new one."""
        self._table.delete(f"audit#{scope}", "look-call")

    def _get(self, pk: str, sk: str) -> Item | None:
        item = self._table.get(pk, sk)
        return None if item is None else _check(item)

    def _query(self, pk: str, prefix: str) -> Iterable[Item]:
        return [_check(item) for item in self._table.query(pk, prefix)]


def _stamped(pk: str, sk: str, **values: Value) -> Item:
    present = {key: value for key, value in values.items() if value is not None}
    return {"pk": pk, "sk": sk, "schema": SCHEMA, **present}


def _check(item: Item) -> Item:
    schema = item.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise SchemaError(f"the ledger item {item.get('sk')!r}", schema, str(SCHEMA))
    return item


def _act(action_execution_id: str, item: Item) -> Act:
    from trellis.records import Act

    return Act(
        action_execution_id=action_execution_id,
        route=_text(item, "route"),
        target=_text(item, "target"),
        revision=_text(item, "revision"),
        at=_time(item, "at"),
    )


def _message_item(message: Message, now: datetime) -> Item:
    return _stamped(
        message.about,
        f"message#{message.fact}#{message.channel}",
        fact=message.fact,
        channel=message.channel,
        progress=message.progress.value,
        owner=message.owner,
        until=_iso(message.until),
        version=message.version,
        attempts=message.attempts,
        may_repeat=message.may_repeat,
        message_id=message.message_id,
        content=message.content,
        at=_iso(now),
        expires_at=_expiry(now, _RELEASE_KEPT),
    )


def _message(item: Item) -> Message:
    return Message(
        about=_text(item, "pk"),
        fact=_text(item, "fact"),
        channel=_text(item, "channel"),
        progress=Progress(_text(item, "progress")),
        owner=_text(item, "owner"),
        until=_time(item, "until"),
        version=_whole(item, "version") or 1,
        attempts=_whole(item, "attempts") or 1,
        may_repeat=item.get("may_repeat") is True,
        message_id=_maybe(item, "message_id"),
        content=_maybe(item, "content"),
    )


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _expiry(since: datetime, kept: timedelta) -> int:
    return int((since + kept).timestamp())


def _text(item: Item, key: str) -> str:
    return str(item[key])


def _maybe(item: Item, key: str) -> str | None:
    value = item.get(key)
    return value if isinstance(value, str) else None


def _whole(item: Item, key: str) -> int | None:
    value = item.get(key)
    return value if isinstance(value, int) else None


def _time(item: Item, key: str) -> datetime:
    return datetime.fromisoformat(_text(item, key))


def _pairs(item: Item, key: str) -> tuple[tuple[str, str], ...]:
    value = item.get(key)
    if not isinstance(value, dict):
        return ()
    return tuple((name, str(one)) for name, one in value.items())
