"""A version that turns bad in production while it is watched is taken back within seconds."""

from datetime import UTC, datetime, timedelta

from sandbox.stories.rollbacks import (
    STAGES,
    bad,
    expect_back,
    expect_letter,
    is_open,
    name_of,
    prove,
)
from sandbox.stories.world import Mark, StoryError, World

SOON = timedelta(seconds=10)
FROM_INFO = "Environment health has transitioned from Info to "


def play(world: World) -> None:
    """Given v1 known good in Prod, when v2 answers 500 there, v1 is back, begun within 10 s."""
    prove(world, "v1", "Open the bakery", "Prod")
    run = world.upload("v2", "Sell sourdough", **bad(5, fault_in="prod"))
    world.wait_for_approval(run)
    world.approve(run)
    world.expect_ended(run, "Succeeded")
    expect_letter(
        world, "Prod", "Rolled back:", "HTTP 5xx", "v1: Open the bakery", "RollbackStage", of=run
    )
    expect_back(world, "Prod", "v1")
    if not is_open(world, "Prod"):
        raise StoryError(f"{STAGES['Prod']} stayed frozen after a rollback that was proven")
    took = begun(world) - reported_bad(world)
    # Told and not judged: how long it takes is also how busy this machine is.
    mark = Mark.DONE if took <= SOON else Mark.FAILED
    words = f"the rollback began {took.total_seconds():.1f} s after health was reported bad"
    world.audience.happened("Prod", mark, words)


def reported_bad(world: World) -> datetime:
    """When Elastic Beanstalk last said that production's health is bad."""
    told = world.client("elasticbeanstalk").describe_events(
        EnvironmentName=name_of(world, "Prod"), MaxRecords=200
    )
    worse: list[datetime] = [
        event["EventDate"].astimezone(UTC)
        for event in told["Events"]
        if event["Message"].startswith(
            ("Environment health has transitioned from Ok to ", FROM_INFO)
        )
        and any(bad in event["Message"] for bad in (" to Severe", " to Degraded", " to Warning"))
    ]
    return max(worse)


def begun(world: World) -> datetime:
    """When the last rollback of the pipeline began."""
    started: list[datetime] = [
        run["startTime"].astimezone(UTC)
        for run in world.runs()
        if run.get("executionType") == "ROLLBACK"
    ]
    if not started:
        raise StoryError(f"{STAGES['Prod']} was not rolled back by the pipeline")
    return max(started)
