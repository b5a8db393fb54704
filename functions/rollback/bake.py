"""The bake: how a deployment does after it ended well, judged against how it was before. Pure.

What was already bad does not count until it has been well for a while, missing data never
triggers, and what happens during a managed platform update or a change of the fleet's size is not
blamed on the release. One bad look may be a blink: two in a row are needed, the second soon after
the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rollback.facts import AlarmOff, Baseline, Health, Incident, Look

_CONFIRMATIONS = 2
_SOONEST, _LATEST = timedelta(seconds=2), timedelta(seconds=30)
_PARTS = 120
"""The wait in a bake of more than an hour is at most this part of it: no bake has 200 looks.

A look is two operations, a step and a wait, and a durable execution holds 3,000:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#limits-durable-functions
"""
_SOON_AGAIN = timedelta(seconds=1)
_MOST_SAMPLES = 24
_TRIGGER = 2
"""Degraded; a Warning alone is no reason to undo a release."""
_LEAST_LOOKS = 3
"""A watch that begins after the bake's time is over still looks this often."""
_OVERTIME = timedelta(minutes=10)
"""How long the end waits for an alarm that may tell of the time before the deployment, or does.

After a bad release the next one may come, and be good, before the alarm is over. Longer than the
windows of this stack's own, five minutes and a period, so that a short bake ends well when they are
over, or badly when they count.
"""


_MENDED_AFTER = timedelta(minutes=1)
"""What was bad before the deployment and is well for so long does not come from before again."""


class Verdict(StrEnum):
    """How a bake stands."""

    GOES_ON = "goes on"
    HEALTHY = "healthy"
    BAD = "bad"
    REPLACED = "replaced"
    UNPROVEN = "unproven"
    """Not bad for a reason of its own, and not shown to be good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look during a bake, as evidence."""

    at: datetime
    health: Health
    alarms: tuple[str, ...] = ()
    """Those in ALARM now, for what came after the deployment."""
    early: tuple[str, ...] = ()
    """Those in ALARM now that may still be so for what came before it."""
    causes: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    """Those in ALARM now that were so before it, and ever since."""
    excuse: str | None = None
    """Why it is not blamed on the release."""
    is_bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bake:
    """How far a bake has come."""

    began: datetime
    until: datetime
    looks: int = 0
    bad_in_a_row: int = 0
    bad_since: datetime | None = None
    samples: tuple[Sample, ...] = ()
    verdict: Verdict = Verdict.GOES_ON
    reason: str = ""
    known_at: datetime | None = None
    """When the health was known last."""
    unanswered: int = 0
    """Looks in a row that AWS did not answer."""
    well_since: dict[str, datetime] = field(default_factory=dict)
    """What was bad before the deployment and is well now, and since which look without a break."""
    mended: frozenset[str] = frozenset()
    """What was bad before the deployment, and was well after it for long enough."""


_HEALTH = ""
"""What no alarm is called: the health among what has mended."""


def mended(
    bake: Bake, baseline: Baseline, look: Look, alarms: Mapping[str, AlarmOff]
) -> tuple[Bake, Baseline]:
    """The bake and the baseline after one more look at what was bad before the deployment.

    A release that mends an environment and breaks it again is a bad release. What was well for a
    moment is not mended: an alarm that comes and goes all day is not the release's.
    """
    badness = look.health.badness
    well = {name for name in baseline.alarms if name not in alarms}
    if badness is not None and badness < _TRIGGER <= _badness(baseline):
        well.add(_HEALTH)
    since = {name: bake.well_since.get(name, look.at) for name in sorted(well)}
    done = bake.mended | {name for name, at in since.items() if look.at - at >= _MENDED_AFTER}
    return replace(bake, well_since=since, mended=done), replace(
        baseline,
        alarms=baseline.alarms - done,
        health=Health.OK if _HEALTH in done else baseline.health,
    )


def _badness(baseline: Baseline) -> int:
    return (baseline.health or Health.OK).badness or 0


def judged(bake: Bake, sample: Sample) -> Bake:
    """The bake after one more look."""
    in_a_row = bake.bad_in_a_row + 1 if sample.is_bad else 0
    going = replace(
        bake,
        looks=bake.looks + 1,
        bad_in_a_row=in_a_row,
        bad_since=(bake.bad_since or sample.at) if sample.is_bad else None,
        samples=_kept((*bake.samples, sample)),
        known_at=bake.known_at if sample.health.badness is None else sample.at,
        unanswered=0,
    )
    if in_a_row >= _CONFIRMATIONS:
        return replace(going, verdict=Verdict.BAD, reason=why_bad(sample))
    if sample.at < bake.until or going.looks < _LEAST_LOOKS or in_a_row:
        return going
    if (sample.early or sample.standing) and sample.at < bake.until + _OVERTIME:
        return going
    return _at_the_end(going)


def _at_the_end(bake: Bake) -> Bake:
    """Well to the end makes known-good; bad for another reason, or not seen, does not."""
    last = bake.samples[-1]
    if bake.known_at is None:
        return ended(bake, Verdict.UNPROVEN, "its health was never known during the watch")
    if last.health.badness is None:
        reason = f"its health is not known since {bake.known_at:%H:%M} UTC"
        return ended(bake, Verdict.UNPROVEN, reason)
    because = None
    if last.health.badness >= _TRIGGER or last.alarms:
        because = last.excuse or "it was so before the deployment"
    elif last.early:
        because = f"{', '.join(last.early)} in ALARM may tell of the time before the deployment"
    elif last.standing:
        because = f"{', '.join(last.standing)} in ALARM since before the deployment proves nothing"
    if because is not None:
        return ended(bake, Verdict.UNPROVEN, f"its health is {last.health.value}, but {because}")
    return ended(bake, Verdict.HEALTHY, f"it did well for {_spoken(last.at - bake.began)}")


def _spoken(time: timedelta) -> str:
    """`45 seconds`, `1 minute`, `10 minutes`."""
    seconds = round(time.total_seconds())
    number, unit = (seconds, "second") if seconds < 60 else (round(seconds / 60), "minute")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def ended(bake: Bake, verdict: Verdict, reason: str) -> Bake:
    """The bake, ended by something else than health."""
    return replace(bake, verdict=verdict, reason=reason)


def sample_of(
    look: Look,
    alarms: Mapping[str, AlarmOff],
    baseline: Baseline,
    incidents: Iterable[Incident],
    deployed: datetime,
) -> Sample:
    """Judge one look: `alarms` are in ALARM now, `incidents` are the environment's events since.

    An alarm lags behind what it measures. It counts only when all that it looks at came after the
    deployment, or the next good version would pay for the last bad one: it went off after that, or
    is still in ALARM a period later, as one that needs three bad minutes of five may be from the
    third on.
    """
    new = {name: off for name, off in alarms.items() if name not in baseline.alarms}
    fresh = {
        name
        for name, off in new.items()
        if off.since >= deployed + off.window or look.at >= deployed + off.window + off.period
    }
    excuse = _excuse(look, baseline, incidents, deployed)
    badness, before = look.health.badness, _badness(baseline)
    is_worse = badness is not None and badness >= _TRIGGER and badness > before
    return Sample(
        at=look.at,
        health=look.health,
        alarms=tuple(sorted(fresh)),
        early=tuple(sorted(new.keys() - fresh)),
        standing=tuple(sorted(alarms.keys() - new.keys())),
        causes=look.causes[:3],
        excuse=excuse,
        is_bad=excuse is None and (is_worse or bool(fresh)),
    )


def why_bad(sample: Sample) -> str:
    """What is wrong, in one sentence."""
    said = []
    if (sample.health.badness or 0) >= _TRIGGER:
        causes = f" ({'; '.join(sample.causes)})" if sample.causes else ""
        said.append(f"its health is {sample.health.value}{causes}")
    if sample.alarms:
        plural = "s" if len(sample.alarms) > 1 else ""
        said.append(f"the alarm{plural} {', '.join(sample.alarms)} went off")
    return " and ".join(said)


def next_look(bake: Bake, now: datetime) -> timedelta:
    """How long to wait: a tenth of the time that has passed, sooner to confirm a bad look."""
    if bake.bad_in_a_row:
        return _SOON_AGAIN
    latest = max(_LATEST, (bake.until - bake.began) / _PARTS)
    wait = min(max((now - bake.began) / 10, _SOONEST), latest)
    left = bake.until - now
    if left > timedelta(0):
        return max(_SOON_AGAIN, min(wait, left))
    return _SOON_AGAIN if bake.looks < _LEAST_LOOKS else wait


def table(bake: Bake) -> tuple[str, ...]:
    """The looks as lines of times and health: those where something changed."""
    lines: list[str] = []
    last: tuple[Health, tuple[str, ...], str | None] | None = None
    for one in bake.samples:
        state = (one.health, one.alarms, one.excuse)
        if state == last and one is not bake.samples[-1]:
            continue
        last = state
        rest = f", {', '.join(one.alarms)} in ALARM" if one.alarms else ""
        rest += f" ({one.excuse})" if one.excuse else ""
        lines.append(f"{one.at:%H:%M:%S} UTC {one.health.value}{rest}")
    return tuple(lines[-8:])


def baseline_from(incidents: Iterable[Incident], look: Look, since: datetime) -> Baseline:
    """The health before a deployment, rebuilt from what the environment has told since.

    `Environment health has transitioned from Ok to Severe.` says what it was. Without any change
    since, what is now was before.
    """
    told = sorted((one for one in incidents if one.at >= since), key=lambda one: one.at)
    for one in told:
        before = _transition(one.message)
        if before is not None:
            health = Health.of(before)
            return Baseline(source="events", health=health if health.badness is not None else None)
    return Baseline(
        source="events", health=look.health if look.health.badness is not None else None
    )


def _transition(message: str) -> str | None:
    """X of `Environment health has transitioned from X to Y.`"""
    start = "Environment health has transitioned from "
    if not message.startswith(start) or " to " not in message:
        return None
    return message.removeprefix(start).partition(" to ")[0]


_UPDATE_BEGINS = ("Managed platform update is in-progress", "Managed platform update starting")
_UPDATE_ENDS = ("Environment update completed successfully", "Managed update failed")
_SCALING = ("Added instance", "Removed instance")
_SCALING_SETTLES, _SCALING_COUNTS = timedelta(minutes=2), timedelta(minutes=15)


def _excuse(
    look: Look, baseline: Baseline, incidents: Iterable[Incident], deployed: datetime
) -> str | None:
    """What else has happened to the environment since the deployment."""
    since = sorted((one for one in incidents if one.at > deployed), key=lambda one: one.at)
    if baseline.platform and look.platform and baseline.platform != look.platform:
        return "the platform was updated since"
    updating = False
    for one in since:
        if any(text in one.message for text in _UPDATE_BEGINS):
            updating = True
        elif updating and any(text in one.message for text in _UPDATE_ENDS):
            updating = False
            if look.at - one.at < timedelta(minutes=2):
                return "a managed platform update has just ended"
    if updating:
        return "a managed platform update is going on"
    if not look.is_ready:
        return f"the environment is {look.status}"
    recent = [
        one.at
        for one in since
        if one.message.startswith(_SCALING) and look.at - one.at < _SCALING_COUNTS
    ]
    # From the first of them: a fleet that is replaced again and again is the release's doing.
    if recent and look.at - recent[0] < _SCALING_SETTLES:
        return "the fleet was being scaled"
    return None


def _kept(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """The first, the last and as many as fit: a step's result is stored each time."""
    if len(samples) <= _MOST_SAMPLES:
        return samples
    return (samples[0], *samples[-(_MOST_SAMPLES - 1) :])
