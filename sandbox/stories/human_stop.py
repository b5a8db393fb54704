"""A person who stops a run has decided: nothing is rolled back past that."""

from sandbox.stories.rollbacks import (
    bad,
    expect_back,
    expect_no_rollback,
    health,
    now,
    order,
    prove,
    stop,
)
from sandbox.stories.world import Mark, StoryError, World


def play(world: World) -> None:
    """Given v2 in Test, when a person stops its run and it turns bad, Test is theirs to mend."""
    prove(world, "v1", "Open the bakery", "Test")
    began = now()
    run = world.upload("v2", "Sell sourdough", **bad(7, fault_in="test"))
    world.wait_for_approval(run)
    stop(world, run, "ada looks at it herself")
    world.audience.happened("you", Mark.DONE, "stop the run")

    world.wait("Test to turn bad", lambda: health(world, "Test") in ("Severe", "Degraded"))
    [plan] = order(world, command="plan", environment="test")["plans"]
    if plan["action"] != "stand down" or "ada looks at it herself" not in plan["reason"]:
        raise StoryError(f"the plan is to {plan['action']}: {plan['reason']}")
    expect_no_rollback(world, "Test", began)
    order(world, command="roll-back", environment="test", reason="ada has seen enough")
    expect_back(world, "Test", "v1")
