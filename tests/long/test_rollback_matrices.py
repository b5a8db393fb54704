"""Thousands of ways in which events and calls go wrong: one rollback or one page, never two.

Played in virtual time against `tests.unit.rollback.release_world`. Which call is hit is not
written here: a clean run is recorded, and every one of its calls is hit in every way.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.unit.rollback.release_world import Call, Release, World

SEEDS = 200
COPIES = 5
STAGES = ("DeployToDev", "DeployToTest", "DeployToProd")
WAYS_TO_BE_BAD: dict[str, Callable[[str], Release]] = {
    "fails": lambda revision: Release(revision, fails=True),
    "turns bad": lambda revision: Release(revision, turns_bad_after=timedelta(seconds=70)),
}
FAULTS = ("death before", "death after", "throttle", "timeout before", "timeout after")
ACTS = ("RollbackStage", "UpdateEnvironment")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """A line for each decision of thousands of runs is too much."""
    logging.getLogger("service_undefined").setLevel(logging.CRITICAL)


def with_good(stage: str) -> World:
    """v1 is known good in a stage."""
    world = World(bake=timedelta(minutes=2))
    world.release(Release("v1"), stage)
    world.play(timedelta(minutes=10))
    world.approval = None
    world.published.clear()
    world.acts.clear()
    world.calls.clear()
    return world


def rollbacks(world: World) -> list[tuple[str, str, str]]:
    return [act for act in world.acts if act[0] in ACTS]


def pages(world: World) -> list[str]:
    return [state for state in world.states() if state in ("REFUSED", "FAILED", "HELD")]


# Events ----------------------------------------------------------------------------------


def deliver_shuffled(world: World, seed: int) -> None:
    """Every event comes five times, each copy up to two minutes late, so that they overtake."""
    order = random.Random(seed)  # an order of events, no secret
    pending: list[tuple[float, dict[str, object]]] = []
    ends = world.clock.now() + timedelta(hours=1)
    next_sweep = world.clock.now() + timedelta(minutes=5)
    while world.clock.now() < ends:
        while world.events:
            event = world.events.pop(0)
            at = world.clock.now().timestamp()
            pending += [(at + order.uniform(0, 120), event) for _ in range(COPIES)]
        order.shuffle(pending)
        now = world.clock.now().timestamp()
        for due in [one for one in pending if one[0] <= now]:
            pending.remove(due)
            world.deliver(due[1])
        if world.clock.now() >= next_sweep:
            next_sweep += timedelta(minutes=5)
            world.invoke({"sweep": {}})
        world.play(timedelta(seconds=5), delivering=False)
        world.clock.pass_(timedelta(seconds=5))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("way", WAYS_TO_BE_BAD)
def test_shuffled_and_repeated_events_make_one_rollback_for_each_failure(
    stage: str, way: str
) -> None:
    counted: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = with_good(stage)
        world.release(WAYS_TO_BE_BAD[way]("v2"), stage)
        deliver_shuffled(world, seed)
        counted["events delivered"] += sum("detail" in event for _, event in world.journals)
        counted["failures"] += 1
        counted["rollbacks"] += len(rollbacks(world))
        assert len(rollbacks(world)) == 1, f"seed {seed}"
        assert world.running(stage) == {"v1"}, f"seed {seed}"
        assert world.states().count("SUCCEEDED") == 1, f"seed {seed}"
    print(f"\n{stage}, {way}: {dict(counted)}")  # noqa: T201  # counts that a person reads


# Calls -----------------------------------------------------------------------------------


def recorded(stage: str, way: str) -> list[Call]:
    """The calls of a clean run, from the deployment to the proof."""
    world = with_good(stage)
    world.release(WAYS_TO_BE_BAD[way]("v2"), stage)
    world.play(sweeping=True)
    assert len(rollbacks(world)) == 1
    return list(world.calls)


def hit(fault: str, number: int) -> Callable[[int, Call], str | None]:
    return lambda count, _: fault if count == number else None


def cases() -> Iterator[tuple[str, str, str]]:
    for stage in ("DeployToTest", "DeployToProd"):
        for way in WAYS_TO_BE_BAD:
            for fault in FAULTS:
                yield stage, way, fault


@pytest.mark.parametrize(("stage", "way", "fault"), list(cases()))
def test_whatever_call_goes_wrong_there_is_one_rollback_or_one_page(
    stage: str, way: str, fault: str
) -> None:
    calls = recorded(stage, way)
    counted: Counter[str] = Counter()
    for number, call in enumerate(calls, start=1):
        world = with_good(stage)
        world.fault = hit(fault, number)
        world.release(WAYS_TO_BE_BAD[way]("v2"), stage)
        world.play(timedelta(hours=4), sweeping=True)
        where = f"{fault} at call {number}, {call[0]}.{call[1]}"
        acted, paged = rollbacks(world), pages(world)
        assert len(acted) <= 1, f"{where}: {acted}"
        assert acted or paged, f"{where}: silence"
        if acted and not paged:
            assert world.running(stage) == {"v1"}, where
            assert world.states().count("SUCCEEDED") >= 1, where
        counted["rolled back" if acted and not paged else "paged"] += 1
    print(f"\n{stage}, {way}, {fault}: {len(calls)} calls, {dict(counted)}")  # noqa: T201  # as above


@pytest.mark.parametrize("stage", ["DeployToTest", "DeployToProd"])
def test_whatever_is_denied_for_good_there_is_a_page_or_a_rollback(stage: str) -> None:
    """A permission that is missing does not come back."""
    operations = sorted(set(recorded(stage, "turns bad")))
    for service, operation in operations:
        if (service, operation) in (("events", "put_events"),) or service == "dynamodb":
            continue  # who cannot speak or remember ends in the dead-letter queue: see below
        world = with_good(stage)
        world.fault = lambda _, call, wanted=(service, operation): (  # type: ignore[misc]  # bound at once
            "denied" if call == wanted else None
        )
        world.release(WAYS_TO_BE_BAD["turns bad"]("v2"), stage)
        world.play(timedelta(hours=4), sweeping=True)
        failed = [journal for journal, _ in world.journals if journal.ended == "failed"]
        assert len(rollbacks(world)) <= 1, operation
        assert rollbacks(world) or pages(world) or failed, f"{operation}: silence"


@pytest.mark.parametrize(
    ("service", "ends"),
    [
        # The second finds that the first has claimed the deployment; one dead letter is enough.
        ("events", ["failed", "succeeded"]),
        ("dynamodb", ["failed", "failed"]),
    ],
)
def test_who_cannot_speak_or_remember_ends_in_the_dead_letter_queue(
    service: str, ends: list[str]
) -> None:
    """And acts once it can again: nothing is done that nobody would hear of or remember."""
    world = with_good("DeployToProd")
    world.fault = lambda _, call: "denied" if call[0] == service else None
    world.release(Release("v2", fails=True), "DeployToProd")
    world.play(timedelta(hours=1))
    assert [journal.ended for journal, _ in world.journals][-2:] == ends
    assert rollbacks(world) == []
    world.fault = lambda *_: None
    world.play(timedelta(hours=1), sweeping=True)
    assert len(rollbacks(world)) == 1
    assert world.running("DeployToProd") == {"v1"}
    assert world.states().count("SUCCEEDED") == 1
