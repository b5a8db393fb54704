"""A version that was released long ago is still a way back: its copy does not expire."""

from sandbox.stories.rollbacks import (
    bad,
    deployed,
    expect_back,
    expect_letter,
    lose_artifact,
    prove,
    stop,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v1 whose artifact has expired, when v2 turns bad, v1 is back from its copy."""
    prove(world, "v1", "Open the bakery")
    lose_artifact(world, "Dev")
    run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
    deployed(world, run, "Dev")
    expect_letter(world, "Dev", "Rolled back:", "UpdateEnvironment", "has expired", of=run)
    expect_back(world, "Dev", "v1")
    stop(world, run)
