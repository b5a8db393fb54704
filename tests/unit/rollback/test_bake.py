"""The bake: what counts as bad, what does not, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback import bake
from rollback.bake import Bake, Sample, Verdict
from rollback.facts import AlarmOff, Baseline, Health, Incident
from tests.unit.rollback.samples import NOW, look

OK = Baseline(source="seen", health=Health.OK, platform="4.5.2")
BEGAN = NOW
UNTIL = NOW + timedelta(minutes=10)


def sample(seconds: float, health: Health = Health.OK, *, is_bad: bool = False) -> Sample:
    return Sample(at=NOW + timedelta(seconds=seconds), health=health, is_bad=is_bad)


def after(*samples: Sample) -> Bake:
    baked = Bake(began=BEGAN, until=UNTIL)
    for one in samples:
        baked = bake.judged(baked, one)
    return baked


def incident(seconds: float, message: str) -> Incident:
    return Incident(at=NOW + timedelta(seconds=seconds), message=message)


def test_one_bad_look_may_be_a_blink_and_two_in_a_row_are_not() -> None:
    bad = sample(30, Health.SEVERE, is_bad=True)
    assert after(bad).verdict is Verdict.GOES_ON
    assert after(bad, sample(31), replace(bad, at=NOW + timedelta(seconds=32))).verdict is (
        Verdict.GOES_ON
    )
    ended = after(bad, replace(bad, at=NOW + timedelta(seconds=31)))
    assert ended.verdict is Verdict.BAD
    assert ended.bad_since == bad.at
    assert "its health is Severe" in ended.reason


def test_a_late_watch_still_looks_three_times() -> None:
    late = [sample(3600 + n) for n in range(3)]
    assert after(*late[:2]).verdict is Verdict.GOES_ON
    assert after(*late).verdict is Verdict.HEALTHY


def test_the_second_look_follows_soon_after_a_bad_one() -> None:
    bad = after(sample(300, Health.SEVERE, is_bad=True))
    assert bake.next_look(bad, NOW + timedelta(seconds=300)) == timedelta(seconds=1)
    assert bake.next_look(after(sample(300)), NOW + timedelta(seconds=300)) == timedelta(seconds=30)


def looks_in(minutes: float) -> int:
    """How often a bake that goes well is looked at."""
    baked = Bake(began=NOW, until=NOW + timedelta(minutes=minutes))
    now, looks = NOW, 0
    while now < baked.until:
        now += bake.next_look(baked, now)
        looks += 1
    return looks


@given(st.integers(1, 1440))
def test_a_bake_of_any_length_has_a_bounded_number_of_looks(minutes: int) -> None:
    """A durable execution holds 3,000 operations, and a look is two."""
    assert looks_in(minutes) < 200


def test_the_documented_numbers_of_looks_are_those_of_the_code() -> None:
    told = (Path(__file__).parents[3] / "docs/rollback.md").read_text()
    counted = [looks_in(minutes) for minutes in (15, 60, 1440)]
    assert "{} looks in 15 minutes, {} in an hour, {} in a day".format(*counted) in told


@pytest.mark.parametrize(
    ("health", "baseline", "is_bad"),
    [
        (Health.SEVERE, OK, True),
        (Health.DEGRADED, OK, True),
        (Health.WARNING, OK, False),
        (Health.INFO, OK, False),
        (Health.NO_DATA, OK, False),
        (Health.UNKNOWN, OK, False),
        (Health.SUSPENDED, OK, False),
        (Health.SEVERE, replace(OK, health=Health.SEVERE), False),
        (Health.SEVERE, replace(OK, health=Health.DEGRADED), True),
        (Health.SEVERE, replace(OK, health=None), True),
    ],
)
def test_worse_than_before_and_known_is_bad(
    health: Health, baseline: Baseline, is_bad: bool
) -> None:
    seen = look(health=health, platform="4.5.2")
    assert bake.sample_of(seen, {}, baseline, (), BEGAN).is_bad is is_bad


def test_an_alarm_counts_unless_it_was_there_before() -> None:
    well, minutes = look(health=Health.OK), timedelta(minutes=5)
    off = {"5xx": AlarmOff(since=NOW + minutes, window=minutes)}
    before = replace(OK, alarms=frozenset({"5xx"}))
    assert bake.sample_of(well, off, OK, (), BEGAN).is_bad
    assert not bake.sample_of(well, off, before, (), BEGAN).is_bad


def seen_with_alarm(until: float, over: float = 60, window: float = 5, minutes: float = 60) -> Bake:
    """A bake with a look each half minute; an alarm is in ALARM from minute 3 until it is over."""
    off = AlarmOff(since=BEGAN + timedelta(minutes=3), window=timedelta(minutes=window))
    baked = Bake(began=BEGAN, until=BEGAN + timedelta(minutes=until))
    for number in range(1, round(minutes * 2) + 1):
        at = BEGAN + timedelta(seconds=30 * number)
        is_off = timedelta(minutes=3) <= at - BEGAN < timedelta(minutes=over)
        seen = look(health=Health.OK, at=at)
        baked = bake.judged(
            baked, bake.sample_of(seen, {"5xx": off} if is_off else {}, OK, (), BEGAN)
        )
        if baked.verdict is not Verdict.GOES_ON:
            break
    return baked


def test_an_alarm_counts_once_all_that_it_looks_at_came_after_the_deployment() -> None:
    early = seen_with_alarm(15, minutes=5.5)
    assert early.verdict is Verdict.GOES_ON
    assert not any(one.is_bad for one in early.samples)
    baked = seen_with_alarm(15)
    assert (baked.verdict, baked.reason) == (Verdict.BAD, "the alarm 5xx went off")
    assert baked.bad_since == BEGAN + timedelta(minutes=6)


def test_the_end_waits_for_an_alarm_that_cannot_count_yet() -> None:
    baked = seen_with_alarm(4)
    assert (baked.verdict, baked.reason) == (Verdict.BAD, "the alarm 5xx went off")
    assert baked.bad_since == BEGAN + timedelta(minutes=6)
    assert seen_with_alarm(4, over=5).verdict is Verdict.HEALTHY


def test_an_alarm_that_cannot_count_for_long_makes_no_known_good() -> None:
    baked = seen_with_alarm(4, window=60)
    assert baked.verdict is Verdict.UNPROVEN
    assert baked.reason.endswith("5xx in ALARM may tell of the time before the deployment")
    assert baked.samples[-1].at == BEGAN + timedelta(minutes=14)


def test_looks_past_the_end_are_few() -> None:
    """They share the operations of the execution with all that may follow."""
    until = NOW + timedelta(seconds=6)
    baked = Bake(began=NOW, until=until, looks=3)
    now, looks = until, 0
    while now < until + timedelta(minutes=10):
        now += bake.next_look(baked, now)
        looks += 1
    assert looks < 60


@pytest.mark.parametrize("silence", [Health.NO_DATA, Health.UNKNOWN, Health.PENDING])
def test_well_at_first_and_silent_at_the_end_is_not_proven(silence: Health) -> None:
    baked = after(sample(60), *(sample(120 + 10 * n, silence) for n in range(49)))
    assert baked.verdict is Verdict.UNPROVEN
    assert baked.reason == f"its health is not known since {NOW + timedelta(minutes=1):%H:%M} UTC"


@pytest.mark.parametrize(
    ("incidents", "at", "excuse"),
    [
        ([incident(5, "Managed platform update is in-progress.")], 30, "is going on"),
        (
            [
                incident(5, "Managed platform update is in-progress."),
                incident(20, "Environment update completed successfully."),
            ],
            60,
            "has just ended",
        ),
        (
            [
                incident(5, "Managed platform update is in-progress."),
                incident(20, "Environment update completed successfully."),
            ],
            300,
            None,
        ),
        ([incident(5, "Added instance [i-1] to your environment.")], 60, "being scaled"),
        (
            [
                incident(5, "Removed instance [i-1] from your environment."),
                incident(290, "Added instance [i-2] to your environment."),
            ],
            300,
            None,
        ),
    ],
    ids=["update", "just updated", "updated long ago", "scaling", "replaced again and again"],
)
def test_what_else_happens_is_not_blamed_on_the_release(
    incidents: list[Incident], at: float, excuse: str | None
) -> None:
    seen = look(health=Health.SEVERE, at=NOW + timedelta(seconds=at), platform="4.5.2")
    judged = bake.sample_of(seen, {}, OK, incidents, BEGAN)
    assert judged.is_bad is (excuse is None)
    assert excuse is None or excuse in (judged.excuse or "")


def test_another_platform_is_no_verdict_on_the_release() -> None:
    seen = look(health=Health.SEVERE, platform="4.6.0")
    assert not bake.sample_of(seen, {}, OK, (), BEGAN).is_bad


@pytest.mark.parametrize(
    ("messages", "now", "before"),
    [
        (["Environment health has transitioned from Ok to Severe. 1 of 1 failed."], "Severe", "Ok"),
        (["Environment health has transitioned from No Data to Ok."], "Ok", None),
        ([], "Severe", "Severe"),
        (["Environment update is starting."], "Warning", "Warning"),
    ],
)
def test_the_health_before_is_rebuilt_from_what_was_told_since(
    messages: list[str], now: str, before: str | None
) -> None:
    told = [incident(number, message) for number, message in enumerate(messages)]
    rebuilt = bake.baseline_from(told, look(health=Health(now)), NOW)
    assert rebuilt.health == (Health(before) if before else None)
    assert rebuilt.source == "events"


def test_the_evidence_shows_where_something_changed() -> None:
    baked = after(*(sample(n) for n in range(20)), sample(40, Health.SEVERE, is_bad=True))
    lines = bake.table(baked)
    assert len(lines) == 2
    assert "Ok" in lines[0]
    assert "Severe" in lines[1]


def test_samples_stay_few_however_long_it_takes() -> None:
    baked = after(*(sample(n / 10) for n in range(500)))
    assert len(baked.samples) <= 24
    assert baked.samples[0].at == datetime.fromisoformat("2026-11-24T12:00:00+00:00")
