"""An environment that is busy is waited for, and then taken back."""

from sandbox.stories.rollbacks import (
    accident,
    deployed,
    expect_back,
    name_of,
    order,
    prove,
    stop,
)
from sandbox.stories.world import Mark, StoryError, World


def play(world: World) -> None:
    """Given Dev is updating, when a person orders it back, that waits until Dev is Ready."""
    first = prove(world, "v1", "Open the bakery")
    run = world.upload("v2", "Sell sourdough")
    deployed(world, run, "Dev")
    accident(
        world,
        "POST",
        f"{world.region}/environments/{name_of(world, 'Dev')}/platform-update",
        {"version": "4.6.1"},
    )
    world.audience.happened("Dev", Mark.WAITING, "gets a managed platform update")
    [plan] = order(world, command="plan", environment="dev")["plans"]
    if plan["action"] != "wait":
        raise StoryError(f"the plan is to {plan['action']}: {plan['reason']}")
    done = order(world, command="roll-back", environment="dev", revision=first)
    if done["outcome"] != "rolled back":
        raise StoryError(f"{done['outcome']}: {done['reason']}")
    expect_back(world, "Dev", "v1")
    stop(world, run)
