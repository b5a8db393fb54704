"""A newer version that takes over ends the watch: what it replaced is not rolled back any more."""

from sandbox.stories.rollbacks import bad, deployed, expect_no_rollback, now, prove, stop
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v2 about to turn bad in Dev, when v3 replaces it first, v3 stays."""
    prove(world, "v1", "Open the bakery")
    began = now()
    second = world.upload("v2", "Sell sourdough", **bad(9, fault_in="dev"))
    deployed(world, second, "Dev")
    third = world.upload("v3", "Sell rye")
    deployed(world, third, "Dev")
    world.expect_served("Dev", "v3")
    expect_no_rollback(world, "Dev", began)
    stop(world, second)
    stop(world, third)
