"""A person who stops a run has decided: nothing is rolled back past that."""

from sandbox.stories.rollbacks import (
    bad,
    expect_back,
    expect_no_rollback,
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

    def stood_down() -> bool:
        plan = order(world, command="plan", environment="test")["plans"][0]
        return str(plan["health"]) in ("Severe", "Degraded")

    world.wait("Test to turn bad", stood_down)
    expect_no_rollback(world, "Test", began)
    if world.version_label("Test") == "":
        raise StoryError("Test runs nothing")
    order(world, command="roll-back", environment="test", reason="ada has seen enough")
    expect_back(world, "Test", "v1")
